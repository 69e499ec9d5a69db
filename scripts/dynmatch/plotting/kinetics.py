"""Figures of the dynamics: mean squared displacement, autocorrelations, van Hove function."""

import math
from dataclasses import replace
from string import ascii_lowercase

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from dynmatch.dynamics.registry import DYNAMICS, dynamics_of
from dynmatch.observables.msd import RELIABLE, longest_reliable_lag
from dynmatch.plotting import panels, style
from dynmatch.plotting.style import REFERENCE
from dynmatch.plotting.tables import Results
from dynmatch.statistics import ratio_of

TIME_LABEL = r"time $t$ (ps)"
RATIO_TOLERANCE = 0.05
"""Half-width of the band that is drawn around a ratio of one."""
RATIO_RANGE = (0.5, 1.6)
"""MSD ratios outside leave the panel, so that what happens near one stays legible."""
COLUMNS = 3
"""Panels beside each other in the figure of autocorrelations."""
LEGEND_LINE = 0.15
"""Height of a line of the legend with the diffusion constants, in."""
UNRELIABLE = {
    "facecolor": style.UNRELIABLE_COLOR,
    "edgecolor": "0.78",
    "hatch": "////",
    "linewidth": 0,
}
"""Look of the lags at which the reference's MSD is not known."""


def draw_msd(main: Axes, lower: Axes, results: Results) -> None:
    """MSD on logarithmic axes, and its ratio to the reference's below it.

    The training window is shaded; lags at which the reference itself is not known are faded. The
    grey band around one is the floor.
    """
    panels.curves(main, results, "msd", "lag_ps")
    lags = _reference_msd(results)["lag_ps"]
    panels.tolerance(lower, 1.0, RATIO_TOLERANCE, f"±{RATIO_TOLERANCE:.0%}")
    _ratios(lower, results)
    main.set_yscale("log")
    panels.log_time(lower, lags.iloc[0], lags.iloc[-1])
    panels.shade_window(main, results.window, text_y=0.06)
    panels.shade_window(lower, results.window)
    for axis in (main, lower):
        axis.axvspan(_reliable_lag(results), lags.iloc[-1], **UNRELIABLE, alpha=0.7, zorder=3)
    main.set_ylabel(r"MSD (nm$^2$)")
    lower.set(xlabel=TIME_LABEL, ylabel="MSD ratio")


def _ratios(axis: Axes, results: Results, last: float = np.inf) -> None:
    """MSDs over that of the reference up to the lag `last`, ps, in RATIO_RANGE; a curve that leaves
    it has a triangle where it does."""
    models = results.curves("msd")
    reference, floor = models.pop(REFERENCE), results.floor("msd")
    relative = (floor["error"] / floor["mean"]).to_numpy()
    panels.band(axis, floor["lag_ps"], 1.0, relative, style.MODELS[REFERENCE].color)
    ratios = {}
    for model, curve in models.items():
        shown = curve[curve["lag_ps"] <= last * (1 + 1e-9)]
        lags, expected = shown["lag_ps"].to_numpy(), _at_lags(shown["lag_ps"], reference)
        ratios[model] = lags, (shown["mean"] / expected).to_numpy()
        panels.line(axis, model, *ratios[model], (shown["error"] / expected).to_numpy())
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, RATIO_RANGE[0]), min(high, RATIO_RANGE[1]))
    for model, (lags, ratio) in ratios.items():
        panels.mark_leaving(axis, model, lags, ratio)


def _at_lags(lags: pd.Series, curve: pd.DataFrame) -> np.ndarray:
    """An MSD at other lags, linear in the logarithms; NaN out of its range."""
    known, mean = np.log(curve["lag_ps"]), np.log(curve["mean"])
    return np.exp(np.interp(np.log(lags), known, mean, left=np.nan, right=np.nan))


def _reliable_lag(results: Results) -> float:
    return longest_reliable_lag(_reference_msd(results))


def _reference_msd(results: Results) -> pd.DataFrame:
    table = results.tables["msd"]
    return table[table["model"] == REFERENCE]


def write_ratios(axis: Axes, results: Results) -> None:
    """D over that of the reference with its standard error, in the upper left of an MSD's panel,
    each in the colour of its model."""
    axis.text(0.04, 0.95, f"$D/D$({results.reference})", transform=axis.transAxes, va="top")
    for number, (model, ratio) in enumerate(_ratios_of_d(results).items(), 1):
        axis.annotate(
            f"{results.label(model)} {ratio}",
            (0.04, 0.95),
            xycoords="axes fraction",
            xytext=(0, -9 * number),
            textcoords="offset points",
            va="top",
            color=style.MODELS[model].color,
        )


def unreliable_handles(results: Results) -> list[Artist]:
    """Legend entry of the lags at which the reference's MSD is not known, if there are any."""
    if _reliable_lag(results) == _reference_msd(results)["lag_ps"].max():
        return []
    return [Patch(**UNRELIABLE, label=f"{results.reference} error > {RELIABLE:.0%}")]


def msd(results: Results) -> Figure:
    """Mean squared displacement with the diffusion constants, and its ratio to the reference."""
    exponent, constants = _diffusion(results)
    ratios = _ratios_of_d(results)
    constants = {
        model: f"{text}; {ratios[model]}" if model in ratios else text
        for model, text in constants.items()
    }
    figure, main, lower = panels.stacked_figure(3.4 + LEGEND_LINE * (len(constants) + 1))
    draw_msd(main, lower, results)
    for line, text in zip(main.get_legend_handles_labels()[0], constants.values(), strict=True):
        line.set_label(f"{line.get_label()}, {text}")
    figure.legend(
        handles=[
            *main.get_legend_handles_labels()[0],
            panels.floor_handle(results),
            *unreliable_handles(results),
        ],
        title=(
            rf"$D$ of this box ($10^{{{exponent}}}$ nm$^2$/ps); "
            f"$D/D$({results.reference}); ± 1 s.e."
        ),
        alignment="left",
        loc="outside upper center",
    )
    figure.align_ylabels()
    return figure


def _diffusion(results: Results) -> tuple[int, dict[str, str]]:
    """A power of ten, and D with its standard error in units of it for every model."""
    models = results.curves("diffusion")
    exponent = int(np.floor(np.log10(models[REFERENCE]["mean"].item())))
    unit = 10.0**exponent
    return exponent, {
        model: f"{curve['mean'].item() / unit:.2f} ± {curve['error'].item() / unit:.2f}"
        for model, curve in models.items()
    }


def _ratios_of_d(results: Results) -> dict[str, str]:
    """D over that of the reference with its standard error for every model, as the summary has
    it."""
    models = results.curves("diffusion")
    reference = _number(models.pop(REFERENCE))
    ratios = {model: ratio_of(_number(curve), reference) for model, curve in models.items()}
    return {model: f"{ratio:.2f} ± {error:.2f}" for model, (ratio, error) in ratios.items()}


def _number(curve: pd.DataFrame) -> tuple[float, float]:
    return curve["mean"].item(), curve["error"].item()


def draw_vacf(axis: Axes, results: Results) -> None:
    """Normalised velocity autocorrelation of the models that have velocities."""
    panels.curves(axis, results, "vacf", "lag_ps")
    axis.axhline(0, color="0.7", linewidth=0.5, zorder=0.5)
    axis.set_xlim(0, results.tables["vacf"]["lag_ps"].max())
    axis.set_ylabel(r"$\langle v(0)\cdot v(t)\rangle$ / $\langle v^2\rangle$")
    without = results.curves("scattering").keys() - results.curves("vacf").keys() - {REFERENCE}
    if without:
        names = [name for name in DYNAMICS if name in map(dynamics_of, without)]
        text = f"{', '.join(DYNAMICS[name].label for name in names)}: no velocities"
        axis.text(0.5, 0.8, text, transform=axis.transAxes, ha="center", fontsize=7)


def draw_scattering(axis: Axes, results: Results) -> None:
    """F_s(k, t) at every wave number, which is written on the reference's curve."""
    models = results.curves("scattering")
    for model, curve in models.items():
        text = panels.label(results, model, curve)
        for _, at_k in curve.groupby("k_per_nm"):
            panels.line(axis, model, at_k["lag_ps"], at_k["mean"], at_k["error"], text)
            text = None
    reference = models[REFERENCE]
    _semilog(axis, reference)
    for k, at_k in reference.groupby("k_per_nm"):
        middle = at_k.loc[(at_k["mean"] - 0.5).abs().idxmin()]
        axis.text(
            middle["lag_ps"],
            middle["mean"],
            f"{k:g}",
            ha="center",
            va="center",
            fontsize=7,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
            zorder=4,
        )
    axis.set(ylabel=r"$F_\mathrm{s}(k, t)$,  $k$ (nm$^{-1}$) on curves", ylim=(-0.03, 1.13))


def _at_wave_number(results: Results, k: float) -> Results:
    """The same with the scattering functions at one wave number, 1/nm, alone."""
    table = results.tables["scattering"]
    return replace(results, tables={"scattering": table[table["k_per_nm"] == k]})


def _draw_scattering_at(axis: Axes, results: Results) -> None:
    """F_s(k, t) at the one wave number that there is."""
    panels.curves(axis, results, "scattering", "lag_ps")
    _semilog(axis, results.curves("scattering")[REFERENCE])
    (k,) = results.tables["scattering"]["k_per_nm"].unique()
    axis.set_title(rf"$k$ = {k:g} nm$^{{-1}}$")
    axis.set(ylabel=r"$F_\mathrm{s}(k, t)$", ylim=(-0.03, 1.13))


def draw_survival(axis: Axes, results: Results) -> None:
    """Probability that a first-shell neighbour is one again after time t."""
    panels.curves(axis, results, "survival", "lag_ps")
    _semilog(axis, results.curves("survival")[REFERENCE])
    axis.set(ylabel="first-shell survival", ylim=(-0.03, 1.13))


def _semilog(axis: Axes, reference: pd.DataFrame) -> None:
    lags = reference["lag_ps"]
    panels.log_time(axis, lags[lags > 0].min(), lags.max())


def autocorrelations(results: Results) -> Figure:
    """Self-intermediate scattering at each wave number, neighbour-shell survival and velocity
    autocorrelation, each with its difference from the reference below it."""
    numbers = sorted(results.tables["scattering"]["k_per_nm"].unique())
    draw = [
        (_draw_scattering_at, "scattering", r"$\Delta F_\mathrm{s}$", _at_wave_number(results, k))
        for k in numbers
    ]
    draw.append((draw_survival, "survival", r"$\Delta$ survival", results))
    if len(results.tables["vacf"]):
        draw.append((draw_vacf, "vacf", r"$\Delta$ VACF", results))
    rows = math.ceil(len(draw) / COLUMNS)
    figure = style.new_figure(style.DOUBLE_COLUMN, 0.6 + 2.7 * rows)
    cells = figure.add_gridspec(rows, COLUMNS)
    for letter, cell, (draw_panel, name, label, shown) in zip(
        ascii_lowercase, cells, draw, strict=False
    ):
        main, lower = panels.stack(figure, cell)
        draw_panel(main, shown)
        panels.shade_window(main, results.window, text_y=0.94)
        panels.differences(lower, shown, name, "lag_ps")
        panels.shade_window(lower, results.window)
        lower.set(xlabel=TIME_LABEL, ylabel=label)
        figure.align_ylabels([main, lower])
        style.letter(main, letter)
    panels.legend_above(figure, figure.axes[1], panels.floor_handle(results))
    return figure


def draw_ratio(axis: Axes, results: Results) -> None:
    """MSD over that of the reference, from its first lag to the last one at which it is known; the
    band around one is the reference's relative error."""
    last = _reliable_lag(results)
    axis.axhline(1, color="black", linewidth=0.6, zorder=1)
    _ratios(axis, results, last)
    panels.log_time(axis, _reference_msd(results)["lag_ps"].min(), last)
    axis.set_ylabel(f"MSD / MSD({results.reference})")


def dynamics(results: Results) -> Figure:
    """Motion from the first frames on: velocities, displacements, and density in Fourier space."""
    results = results.without_baselines()
    draw = [draw_ratio, draw_scattering]
    if len(results.tables["vacf"]):
        draw.insert(0, draw_vacf)
    figure = style.new_figure(style.DOUBLE_COLUMN, 2.6)
    axes = figure.subplots(1, len(draw))
    for letter, draw_panel, axis in zip("abc", draw, axes, strict=False):
        draw_panel(axis, results)
        axis.set_xlabel(TIME_LABEL)
        style.letter(axis, letter)
    panels.legend_above(figure, axes[-1])
    return figure


def van_hove(results: Results) -> Figure:
    """Self part of the van Hove function: how far a site has moved after a time.

    Panels of times within the training window are shaded.
    """
    models = results.curves("van_hove")
    lags = sorted(models[REFERENCE]["lag_ps"].unique())
    figure = style.new_figure(style.DOUBLE_COLUMN, 2.5)
    axes = figure.subplots(1, len(lags), squeeze=False)[0]
    for axis, lag in zip(axes, lags, strict=True):
        for model, curve in models.items():
            at_lag = curve[curve["lag_ps"] == lag]
            text = panels.label(results, model, curve)
            panels.line(axis, model, at_lag["r_nm"], at_lag["mean"], at_lag["error"], text)
        if lag <= results.window:
            axis.set_facecolor(style.WINDOW_COLOR)
        axis.set_title(f"$t$ = {lag:g} ps")
        axis.set(xlabel=r"displacement $r$ (nm)", xlim=(0, _reach(models[REFERENCE], lag)))
        axis.set(ylim=(0, None), ylabel=r"$4\pi r^2 G_\mathrm{s}(r, t)$ (nm$^{-1}$)")
    panels.legend_above(figure, axes[0], panels.window_handle())
    return figure


def _reach(reference: pd.DataFrame, lag: float) -> float:
    """Displacement, nm, that 0.1 % of the reference's sites exceed."""
    at_lag = reference[reference["lag_ps"] == lag]
    cumulated = at_lag["mean"].cumsum() / at_lag["mean"].sum()
    return float(at_lag["r_nm"][cumulated < 0.999].max())
