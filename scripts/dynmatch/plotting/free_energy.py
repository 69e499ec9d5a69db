"""Figures of free energies: potential of mean force, tetrahedral order, neighbour geometry."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
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


def grid(curve: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ma.MaskedArray]:
    """r (nm), cos theta and F (kJ/mol), shape (cos theta, r), masked where nothing was sampled."""
    table = curve.pivot(index="cos_theta", columns="r_nm", values="mean")
    table = table.dropna(axis="columns", how="all")
    energy = np.ma.masked_invalid(table.to_numpy())
    return table.columns.to_numpy(), table.index.to_numpy(), energy


def draw_map(axis: Axes, results: Results, curve: pd.DataFrame) -> QuadMesh:
    """F(r, cos theta) of one model with a contour line every kB T; grey where not sampled."""
    r, angle, energy = grid(curve)
    thermal = BOLTZMANN * results.temperature
    mesh = panels.free_energy_map(axis, r, angle, energy, thermal, DEPTH, 1)
    axis.set_xlabel(DISTANCE_LABEL)
    return mesh


def draw_contours(axis: Axes, results: Results) -> None:
    """Contour lines of F(r, cos theta) of every model on the shaded map of the reference."""
    thermal = BOLTZMANN * results.temperature
    levels = thermal * FEW_CONTOURS
    for model, curve in results.curves("free_energy_r_theta").items():
        r, angle, energy = grid(curve)
        look = MODELS[model]
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
    """w(r), F(q), and the maps F(r, cos theta) side by side with one colour bar."""
    thermal = BOLTZMANN * results.temperature
    figure = style.new_figure(style.DOUBLE_COLUMN, 4.7)
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
    for letter, axis, (model, curve) in zip("cdefgh", axes, models.items(), strict=False):
        mesh = draw_map(axis, results, curve)
        axis.set_title(results.label(model).replace(", ", ",\n"), fontsize=7)
        style.letter(axis, letter)
    axes[0].set_ylabel(ANGLE_LABEL)
    bar = lower.colorbar(mesh, ax=axes, extend="max", pad=0.01)
    bar.set_label("$F(r, \\cos\\theta)$ (kJ/mol)\nlines every $k_\\mathrm{B}T$, grey: not sampled")
    return figure
