"""A box to turn with the mouse: atoms beside sites, on one page that needs no network."""

from collections.abc import Mapping

import matplotlib.colors
import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dynmatch.plotting.snapshot import Spheres, corners_and_edges

PIXELS = 90.0
"""Of a marker for each nm of a sphere's radius."""
HEIGHT = 460
FRONT = {"eye": {"x": 0.9, "y": -1.5, "z": 0.5}, "projection": {"type": "orthographic"}}


def figure(panels: Mapping[str, Spheres], box: np.ndarray) -> go.Figure:
    """A scene for each entry, its title above it, all in the same periodic box, nm."""
    whole = make_subplots(
        cols=len(panels),
        specs=[[{"type": "scene"}] * len(panels)],
        subplot_titles=list(panels),
        horizontal_spacing=0.01,
    )
    corners, edges = corners_and_edges(box)
    for column, spheres in enumerate(panels.values(), 1):
        whole.add_trace(_lines(corners, edges, "#555555"), row=1, col=column)
        if len(spheres.bonds):
            whole.add_trace(_lines(spheres.positions, spheres.bonds, "#999999"), row=1, col=column)
        whole.add_trace(_markers(spheres), row=1, col=column)
    axis = {"title": "", "showticklabels": False, "showbackground": False, "showgrid": False}
    whole.update_scenes(
        xaxis=axis, yaxis=axis, zaxis=axis, aspectmode="data", camera=FRONT, dragmode="orbit"
    )
    return whole.update_layout(height=HEIGHT, showlegend=False, margin={"l": 0, "r": 0, "b": 0})


def page(panels: Mapping[str, Spheres], box: np.ndarray) -> str:
    """The same as HTML with the program that draws it."""
    return figure(panels, box).to_html(include_plotlyjs=True, config={"displaylogo": False})


def _markers(spheres: Spheres) -> go.Scatter3d:
    x, y, z = spheres.positions.T
    colors = [matplotlib.colors.to_hex(color) for color in spheres.colors]
    edge = {"color": "#333333", "width": 1}
    marker = {"size": PIXELS * spheres.radii, "color": colors, "line": edge, "opacity": 1.0}
    return go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker, hoverinfo="skip")


def _lines(points: np.ndarray, pairs: np.ndarray, color: str) -> go.Scatter3d:
    """A line for each pair (n, 2) of points (m, 3); a gap after each."""
    ends = np.full((len(pairs), 3, 3), np.nan)
    ends[:, :2] = points[pairs]
    x, y, z = ends.reshape(-1, 3).T
    return go.Scatter3d(x=x, y=y, z=z, mode="lines", line={"color": color}, hoverinfo="skip")
