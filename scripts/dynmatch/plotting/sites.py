"""By type of site: RDF of each pair of types, distributions of bonded coordinates, and rotation."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynmatch.plotting import panels, style
from dynmatch.plotting.structure import ANGLE_LABEL, DISTANCE_LABEL, VISIBLE
from dynmatch.plotting.tables import Results

COLUMNS = 3
LABELS = {
    "r_nm": ("bond length (nm)", "density (nm$^{-1}$)"),
    "cos_theta": (ANGLE_LABEL, r"$P(\cos\theta)$"),
    "phi_rad": (r"dihedral angle $\phi$ (rad)", r"$P(\phi)$"),
}
"""Axis labels of each bonded coordinate."""


def sites(results: Results) -> Figure:
    """One panel for each pair of types, each kind of bond, angle and dihedral, and the rotation of
    each kind of bond."""
    rdfs = list(dict.fromkeys(results.tables["rdf_by_type"]["types"]))
    bonded = results.tables["bonded"]
    kinds = list(dict.fromkeys(zip(bonded["types"], bonded["coordinate"], strict=True)))
    bonds = list(dict.fromkeys(results.tables["reorientation"]["types"]))
    count = len(rdfs) + len(kinds) + len(bonds)
    rows = math.ceil(count / COLUMNS)
    figure = style.new_figure(style.DOUBLE_COLUMN, 0.6 + 2.0 * rows)
    cells = figure.add_gridspec(rows, COLUMNS)
    axes = [
        figure.add_subplot(cells[number // COLUMNS, number % COLUMNS]) for number in range(count)
    ]
    for axis, types in zip(axes, rdfs, strict=False):
        _draw_rdf(axis, results, types)
    for axis, types in zip(axes[len(rdfs) + len(kinds) :], bonds, strict=True):
        _draw_rotation(axis, results, types)
    for axis, (types, coordinate) in zip(axes[len(rdfs) :], kinds, strict=False):
        _draw(axis, results, "bonded", types, "value")
        label, density = LABELS[coordinate]
        axis.set(xlabel=label, ylabel=density, ylim=(0, None))
        axis.locator_params(axis="x", nbins=5)
    panels.legend_above(figure, axes[0])
    return figure


def _draw_rdf(axis: Axes, results: Results, types: str) -> None:
    _draw(axis, results, "rdf_by_type", types, "r_nm")
    axis.axhline(1, color="0.7", linewidth=0.5, zorder=0.5)
    axis.axvline(results.cutoff, color="0.5", linewidth=0.8, linestyle=":", zorder=0.5)
    table = _of(results.tables["rdf_by_type"], types)
    contact = table.loc[table["rdf"] > VISIBLE, "r_nm"].min()
    axis.set_xlim(0.85 * contact, table["r_nm"].max())
    axis.set(xlabel=DISTANCE_LABEL, ylabel=r"$g(r)$", ylim=(0, None))


def _draw_rotation(axis: Axes, results: Results, types: str) -> None:
    for model, curve in results.curves("reorientation").items():
        own = _of(curve, types)
        for order, dashes in ((1, None), (2, (3, 2))):
            part = own[own["order"] == order]
            text = panels.label(results, model, part) if order == 1 else None
            drawn = panels.line(axis, model, part["lag_ps"], part["mean"], part["error"], text)
            if dashes:
                drawn.set_dashes(dashes)
    axis.set(xscale="log", xlabel="lag (ps)", ylabel="$C_1$, dashed $C_2$", title=types)


def _draw(axis: Axes, results: Results, name: str, types: str, key: str) -> None:
    for model, curve in results.curves(name).items():
        own = _of(curve, types)
        text = panels.label(results, model, own)
        panels.line(axis, model, own[key], own["mean"], own["error"], text)
    axis.set_title(types)


def _of(table: pd.DataFrame, types: str) -> pd.DataFrame:
    return table[table["types"] == types]
