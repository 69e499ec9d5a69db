"""One look at the liquid: a box of molecules with all atoms, as sites, and as a model has it."""

from dataclasses import dataclass
from pathlib import Path

import matplotlib.colors
import mdtraj
import numpy as np
import tables
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from dynmatch.errors import DynmatchError, told
from dynmatch.plotting import style
from dynmatch.sites.box import matrix, reduced, vectors_of, wrap
from dynmatch.storage.hdf5 import refuse_pickles

refuse_pickles()

AZIMUTH, ELEVATION = np.radians(24.0), np.radians(14.0)
"""From where the box is seen."""
ATOM_RADII = {"O": 0.075, "H": 0.045}
OTHER_RADIUS, SITE_RADIUS = 0.06, 0.105
"""Of spheres, nm; what they are drawn with, not the range of any force."""
ATOM_COLORS = {"O": "#d1433c", "H": "#f4f4f4"}
OTHER_COLOR = "#9a9a9a"
FAR = 0.55
"""How much of its colour the rearmost sphere loses to the white of the page."""
LAYERS = ((1.0, 0.0, 0.0), (0.72, 0.16, 0.3), (0.34, 0.34, 0.65))
"""Discs that shade a sphere: radius and shift towards the light, over the sphere's radius, and how
much paler than the sphere."""
MARGIN = 0.14
"""Around the outline of the box, nm: spheres whose centres lie inside may stick out."""


@dataclass(frozen=True)
class Spheres:
    """Spheres (n,) at positions (n, 3), nm, and `bonds` (b, 2) between them by their numbers."""

    positions: np.ndarray
    radii: np.ndarray
    colors: list
    bonds: np.ndarray


def first_frame(path: str | Path) -> mdtraj.Trajectory:
    """The first frame of an HDF5 trajectory, of atoms or sites.

    Raises DynmatchError, naming the file, when it cannot be read.
    """
    try:
        return mdtraj.load_frame(str(path), 0)
    except (OSError, tables.HDF5ExtError, tables.NoSuchNodeError) as error:
        raise DynmatchError(
            f"{path}: cannot be read as a trajectory ({told(error)}); delete it and "
            "run the rule that makes it again"
        ) from error


def box_of(frame: mdtraj.Trajectory) -> np.ndarray:
    """The box of a frame, nm, see `sites.box`."""
    return reduced(vectors_of(frame.unitcell_lengths[0], frame.unitcell_angles[0]))


def atoms(frame: mdtraj.Trajectory) -> Spheres:
    """Atoms in the colours of their elements, whole residues moved so that their middles are in the
    box."""
    x = frame.xyz[0]
    residue = np.array([atom.residue.index for atom in frame.topology.atoms])
    sums = np.stack([np.bincount(residue, coordinate) for coordinate in x.T], 1)
    middles = sums / np.bincount(residue)[:, None]
    elements = [atom.element.symbol for atom in frame.topology.atoms]
    return Spheres(
        x + (wrap(middles, box_of(frame)) - middles)[residue],
        np.array([ATOM_RADII.get(element, OTHER_RADIUS) for element in elements]),
        [ATOM_COLORS.get(element, OTHER_COLOR) for element in elements],
        np.array([(a.index, b.index) for a, b in frame.topology.bonds]).reshape(-1, 2),
    )


def sites(frame: mdtraj.Trajectory, color) -> Spheres:
    """Sites, moved into the box."""
    count = frame.n_atoms
    positions = wrap(frame.xyz[0], box_of(frame))
    return Spheres(positions, np.full(count, SITE_RADIUS), [color] * count, np.empty((0, 2), int))


def snapshot(panels: dict[str, Spheres], box: np.ndarray) -> Figure:
    """A panel for each entry, its title above it, all in the same periodic box, nm."""
    figure = style.new_figure(style.DOUBLE_COLUMN, 2.5)
    cells = figure.subplots(1, len(panels), squeeze=False)[0]
    for letter, axis, (title, spheres) in zip("abcdef", cells, panels.items(), strict=False):
        draw(axis, spheres, box)
        axis.set_title(title, fontsize=8)
        style.letter(axis, letter)
    return figure


def draw(axis: Axes, spheres: Spheres, box: np.ndarray) -> None:
    """Shaded spheres and bonds in the outline of the box, far ones first and paler."""
    seen = view(spheres.positions - matrix(box).sum(0) / 2)
    depth = seen[:, 2]
    nearness = (depth - depth.min()) / np.ptp(depth)
    edges, rear = _outline(box)
    axis.add_collection(LineCollection(edges[rear], colors="0.75", linewidths=0.6, zorder=0))
    patches, faces, borders = [], [], []
    for index in np.argsort(depth):
        radius = spheres.radii[index]
        color = _paler(spheres.colors[index], FAR * (1 - nearness[index]))
        for part, shift, lightness in LAYERS:
            centre = seen[index, :2] + shift * radius * np.array([-0.7, 0.7])
            patches.append(Circle(centre, part * radius))
            faces.append(_paler(color, lightness))
            borders.append("none" if shift else _darker(color))
    bonds = seen[spheres.bonds][:, :, :2]
    axis.add_collection(LineCollection(bonds, colors="0.5", linewidths=1.0, zorder=0.5))
    axis.add_collection(
        PatchCollection(patches, facecolors=faces, edgecolors=borders, linewidths=0.3, zorder=1)
    )
    axis.add_collection(LineCollection(edges[~rear], colors="0.35", linewidths=0.8, zorder=2))
    low, high = edges.min((0, 1)) - MARGIN, edges.max((0, 1)) + MARGIN
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axis.axis("off")


def view(x: np.ndarray) -> np.ndarray:
    """Positions (n, 3) as the eye sees them: to the right, up, and towards it."""
    (sa, ca), (se, ce) = ((np.sin(a), np.cos(a)) for a in (AZIMUTH, ELEVATION))
    right, up = np.array([ca, sa, 0.0]), np.array([sa * se, -ca * se, ce])
    return x @ np.stack([right, up, np.cross(right, up)], 1)


def corners_and_edges(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 8 corners (8, 3) of the box, nm, and its 12 edges as pairs of them."""
    corners = np.stack(np.unravel_index(np.arange(8), (2, 2, 2)), 1)
    ends = np.array([(i, i + step) for step in (1, 2, 4) for i in range(8) if not i & step])
    return corners @ matrix(box), ends


def _outline(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 12 edges of the box as seen, (12, 2, 2), and which of them end in its rear corner."""
    corners, ends = corners_and_edges(box)
    seen = view(corners - matrix(box).sum(0) / 2)
    return seen[ends][:, :, :2], (ends == np.argmin(seen[:, 2])).any(1)


def _paler(color, share: float):
    return tuple((1 - share) * np.array(matplotlib.colors.to_rgb(color)) + share)


def _darker(color):
    return tuple(0.6 * np.array(matplotlib.colors.to_rgb(color)))
