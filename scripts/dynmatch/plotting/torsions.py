"""Figures of a molecule's torsions: Ramachandran maps, free energies, populations and kinetics."""

from string import ascii_lowercase

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynmatch.observables.torsions import BASINS
from dynmatch.plotting import panels, style
from dynmatch.plotting.kinetics import TIME_LABEL
from dynmatch.plotting.style import MODELS, REFERENCE
from dynmatch.plotting.tables import Results
from dynmatch.units import BOLTZMANN

DEPTH = 8
"""Range of the maps and profiles above the minimum, in kB T; a contour line every two of them."""
SYMBOLS = {"phi": r"$\phi$", "psi": r"$\psi$"}
TICKS, ENDS = (-180, -90, 0, 90, 180), (-180, 0, 180)
BASIN_LABELS = {
    "C5": "C5",
    "PII_C7eq": "PII, C7eq",
    "alpha_R": r"$\alpha_\mathrm{R}$",
    "phi_positive": r"$\phi > 0$",
}
FUNCTION_LABELS = {
    "cos_phi": r"$\cos\phi$",
    "sin_phi": r"$\sin\phi$",
    "cos_psi": r"$\cos\psi$",
    "sin_psi": r"$\sin\psi$",
}
BARRIERS = 12.0
"""kB T up to which F of a single torsion is shown; that of phi between its basins is 11."""
WITHIN = {"phi": 2.0, "psi": 1.3}
"""Factor within which a timescale is taken to be right."""


def ramachandran(results: Results) -> Figure:
    """F(phi, psi) of the reference, and what that of every model differs from it."""
    models = results.curves("ramachandran")
    figure = style.new_figure(style.DOUBLE_COLUMN, 1.3 + 5.4 / len(models))
    axes = figure.subplots(1, len(models), sharex=True, sharey=True, squeeze=False)[0]
    maps = [
        curve.pivot(index="psi_deg", columns="phi_deg", values="mean") for curve in models.values()
    ]
    thermal = BOLTZMANN * results.temperature
    panels.free_energy_maps(figure, axes, maps, r"$F(\phi, \psi)$", thermal, DEPTH, 2)
    for letter, axis, model in zip(ascii_lowercase, axes, models, strict=False):
        axis.set(xlabel=r"$\phi$ (degrees)", xticks=ENDS, yticks=ENDS, aspect="equal")
        axis.set_title(panels.map_title(results, model))
        style.letter(axis, letter)
    axes[0].set_ylabel(r"$\psi$ (degrees)")
    return figure


def torsions(results: Results) -> Figure:
    """F(phi), F(psi), and how much of the time is spent in each basin."""
    figure = style.new_figure(style.DOUBLE_COLUMN, 2.6)
    *profiles, bars = figure.subplots(1, 3)
    height = BARRIERS * BOLTZMANN * results.temperature
    for letter, axis, (name, symbol) in zip("ab", profiles, SYMBOLS.items(), strict=True):
        for model, curve in results.curves("torsion_free_energy").items():
            own = curve[curve["torsion"] == name]
            text = panels.label(results, model, curve)
            panels.line(axis, model, own["angle_deg"], own["mean"], own["error"], text)
        axis.set(
            xlabel=f"{symbol} (degrees)",
            ylabel=f"$F$({symbol}) (kJ/mol)",
            xlim=(-180, 180),
            xticks=TICKS,
            ylim=(0, height),
        )
        style.letter(axis, letter)
    _draw_populations(bars, results)
    style.letter(bars, "c")
    panels.legend_above(figure, profiles[0])
    return figure


def _draw_populations(axis: Axes, results: Results) -> None:
    models = results.curves("populations")
    for number, (model, curve) in enumerate(models.items()):
        own = curve.set_index("basin").loc[list(BASINS)]
        place = np.arange(len(BASINS)) + 0.2 * (number - 0.5 * (len(models) - 1))
        look = MODELS[model]
        axis.errorbar(
            place, own["mean"], own["error"], fmt=look.marker, color=look.color, markersize=4
        )
    axis.set_xticks(np.arange(len(BASINS)), [BASIN_LABELS[name] for name in BASINS])
    axis.set(xlabel="basin", ylabel="population", ylim=(0, None))


def torsion_kinetics(results: Results) -> Figure:
    """Autocorrelations of cosine and sine of the torsions, and their slowest timescales."""
    figure = style.new_figure(style.DOUBLE_COLUMN, 4.6)
    axes = figure.subplots(2, 3)
    models = results.curves("torsion_correlation")
    for letter, axis, (name, symbol) in zip(
        "abde", axes[:, :2].flatten(), FUNCTION_LABELS.items(), strict=True
    ):
        for model, curve in models.items():
            own = curve[(curve["function"] == name) & (curve["lag_ps"] > 0)]
            text = panels.label(results, model, curve)
            panels.line(axis, model, own["lag_ps"], own["mean"], own["error"], text)
        lags = models[REFERENCE]["lag_ps"]
        panels.log_time(axis, lags[lags > 0].min(), lags.max())
        panels.shade_window(axis, results.window)
        axis.axhline(0, color="0.7", linewidth=0.5, zorder=0.5)
        axis.set(xlabel=TIME_LABEL, ylabel=f"autocorrelation of {symbol}")
        style.letter(axis, letter)
    for letter, axis, (name, symbol) in zip("cf", axes[:, 2], SYMBOLS.items(), strict=True):
        _draw_timescales(axis, results, name, symbol)
        style.letter(axis, letter)
    panels.legend_above(figure, axes[0, 0], panels.window_handle())
    return figure


def _draw_timescales(axis: Axes, results: Results, name: str, symbol: str) -> None:
    """Slowest timescale of each model, and the band within which it is taken to be right."""
    labels = []
    for number, (model, curve) in enumerate(results.curves("timescales").items()):
        own = curve[curve["torsion"] == name]
        look = MODELS[model]
        axis.errorbar(
            [number], own["mean"], own["error"], fmt=look.marker, color=look.color, markersize=4
        )
        labels.append(results.label(model))
        if model == REFERENCE:
            value, factor = float(own["mean"].iloc[0]), WITHIN[name]
            axis.axhspan(
                value / factor, value * factor, color=style.TOLERANCE_COLOR, lw=0, zorder=0
            )
    axis.set_xticks(range(len(labels)), labels)
    axis.set(
        xlabel="model",
        xlim=(-0.5, len(labels) - 0.5),
        ylim=(0, None),
        ylabel=f"slowest timescale of {symbol} (ps)\nband: a factor of {WITHIN[name]:g}",
    )
