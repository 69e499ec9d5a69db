"""Figures of free energies: potential of mean force, tetrahedral order, neighbour geometry."""

from string import ascii_lowercase

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynmatch.plotting import panels, style
from dynmatch.plotting.structure import ANGLE_LABEL, DISTANCE_LABEL, TETRAHEDRAL_LABEL
from dynmatch.plotting.style import MODELS, REFERENCE
from dynmatch.plotting.tables import Results
from dynmatch.units import BOLTZMANN

DEPTH = 6
"""Range of the maps above the minimum, in kB T; a contour line at each kB T within."""
CORE = 4
"""Height, in kB T, up to which the repulsive core of w(r) is shown."""
FEW_CONTOURS = np.arange(1, 5)
"""Contour lines, in kB T, where several models share a panel."""


def grid(curve: pd.DataFrame) -> pd.DataFrame:
    """F (kJ/mol) over cos theta and r (nm), from the least distance that was sampled."""
    table = curve.pivot(index="cos_theta", columns="r_nm", values="mean")
    return table.dropna(axis="columns", how="all")


def draw_contours(axis: Axes, results: Results) -> None:
    """Contour lines of F(r, cos theta) of every model on the shaded map of the reference."""
    thermal = BOLTZMANN * results.temperature
    levels = thermal * FEW_CONTOURS
    for model, curve in results.curves("free_energy_r_theta").items():
        table, look = grid(curve), MODELS[model]
        r, angle = table.columns.to_numpy(), table.index.to_numpy()
        energy = np.ma.masked_invalid(table.to_numpy())
        axis.contour(
            r,
            angle,
            energy,
            levels=levels,
            colors=[look.color],
            linestyles=[look.linestyle],
            linewidths=0.7 * look.linewidth,
            zorder=look.zorder,
        )
        if model == REFERENCE:
            axis.contourf(
                r, angle, energy, levels=[0, *levels], cmap="Greys_r", vmin=-levels[-1], zorder=1
            )
            axis.set_xlim(r[0], r[-1])
    axis.set(xlabel=DISTANCE_LABEL, ylabel=ANGLE_LABEL)


def free_energy(results: Results) -> Figure:
    """w(r), F(q), the map F(r, cos theta) of the reference, and what models differ from it."""
    thermal = BOLTZMANN * results.temperature
    figure = style.new_figure(style.DOUBLE_COLUMN, 5.0)
    upper, lower = figure.subfigures(2, 1)
    pmf, order = upper.subplots(1, 2)
    panels.curves(pmf, results, "pmf", "r_nm")
    pmf.axhline(0, color="0.7", linewidth=0.5, zorder=0.5)
    pmf.set(xlabel=DISTANCE_LABEL, ylabel=r"$w(r)$ (kJ/mol)", ylim=(None, CORE * thermal))
    panels.curves(order, results, "free_energy_q", "q")
    order.set(xlabel=TETRAHEDRAL_LABEL, ylabel=r"$F(q)$ (kJ/mol)", ylim=(0, None))
    style.letter(pmf, "a")
    style.letter(order, "b")
    panels.legend_above(upper, pmf)

    models = results.curves("free_energy_r_theta")
    axes = lower.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    maps = [grid(curve) for curve in models.values()]
    panels.free_energy_maps(lower, axes, maps, r"$F(r, \cos\theta)$", thermal, DEPTH, 1)
    for letter, axis, model in zip(ascii_lowercase[2:], axes, models, strict=False):
        axis.set_title(panels.map_title(results, model), fontsize=7)
        axis.set_xlabel(DISTANCE_LABEL)
        style.letter(axis, letter)
    axes[0].set_ylabel(ANGLE_LABEL)
    return figure
