"""Figures of distributions: radial, tetrahedral, and any observable of one variable."""

from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynmatch.observables.registry import OBSERVABLES
from dynmatch.plotting import panels
from dynmatch.plotting.tables import Results

DISTANCE_LABEL = r"$r$ (nm)"
ANGLE_LABEL = r"$\cos\theta$"
TETRAHEDRAL_LABEL = r"tetrahedral order $q$"
VISIBLE = 0.01
"""g(r) below this counts as none when the range of the axis is chosen."""


def draw_rdf(main: Axes, lower: Axes, results: Results) -> None:
    """g(r), and model minus reference below it; the dotted line is the pair cutoff."""
    panels.curves(main, results, "rdf", "r_nm")
    panels.differences(lower, results, "rdf", "r_nm")
    main.axhline(1, color="0.7", linewidth=0.5, zorder=0.5)
    for axis in (main, lower):
        axis.axvline(results.cutoff, color="0.5", linewidth=0.8, linestyle=":", zorder=0.5)
    main.text(
        results.cutoff,
        0.97,
        "cutoff",
        transform=main.get_xaxis_transform(),
        rotation=90,
        ha="right",
        va="top",
        fontsize=7,
        color="0.4",
    )
    table = results.tables["rdf"]
    contact = table.loc[table["rdf"] > VISIBLE, "r_nm"].min()
    lower.set_xlim(0.85 * contact, table["r_nm"].max())
    main.set(ylim=(0, None), ylabel=r"$g(r)$")
    lower.set(xlabel=DISTANCE_LABEL, ylabel=r"$\Delta g(r)$")


def draw_profile(main: Axes, lower: Axes, results: Results, name: str) -> None:
    """An observable of one variable from bin to bin, and model minus reference below it."""
    card = OBSERVABLES[name]
    (key,), (abscissa, ordinate) = card.keys, card.labels
    panels.curves(main, results, name, key)
    panels.differences(lower, results, name, key)
    points = np.unique(results.tables[name][key])
    lower.set_xlim(1.5 * points[0] - 0.5 * points[1], 1.5 * points[-1] - 0.5 * points[-2])
    main.set(ylim=(0, None), ylabel=ordinate)
    lower.set(xlabel=abscissa, ylabel=ordinate.replace("$", r"$\Delta ", 1))


def draw_tetrahedral(main: Axes, lower: Axes, results: Results) -> None:
    """Density of the tetrahedral order parameter, and differences below it."""
    panels.curves(main, results, "tetrahedral", "q")
    panels.differences(lower, results, "tetrahedral", "q")
    table = results.tables["tetrahedral"]
    lower.set_xlim(table.loc[table["density"] > VISIBLE, "q"].min(), 1)
    main.set(ylim=(0, None), ylabel=r"$P(q)$")
    lower.set(xlabel=TETRAHEDRAL_LABEL, ylabel=r"$\Delta P(q)$")


def _figure(draw, results: Results) -> Figure:
    figure, main, lower = panels.stacked_figure(3.6)
    draw(main, lower, results)
    panels.legend_above(figure, main, panels.floor_handle(results))
    figure.align_ylabels()
    return figure


def rdf(results: Results) -> Figure:
    """Radial distribution function."""
    return _figure(draw_rdf, results)


def profile(results: Results) -> Figure:
    """The one observable of one variable that there is a table of, by the labels on its card."""
    (name,) = results.tables
    return _figure(partial(draw_profile, name=name), results)


def tetrahedral(results: Results) -> Figure:
    """Distribution of the tetrahedral order parameter."""
    return _figure(draw_tetrahedral, results)
