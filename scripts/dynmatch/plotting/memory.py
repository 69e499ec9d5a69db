"""Figure of the memory of models: its kernel in time, and the friction at each frequency."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dynmatch.dynamics.kernel import Kernel
from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.plotting import style
from dynmatch.plotting.kinetics import TIME_LABEL
from dynmatch.plotting.style import MODELS
from dynmatch.plotting.tables import Results

WAVENUMBER = 1 / (2 * np.pi * 0.0299792458)
"""1/cm in a rad/ps: 1/(2 pi c)."""
DECAYED = 6.0
"""The longest time that is shown, over that of the slowest mode."""
WIDTH = 2.0
"""The largest frequency that is shown, over that of the fastest mode."""
MARKOVIAN = (0, (4, 2))
"""Line of the Markovian limit."""
POINTS = 600

Found = tuple[str, int, Kernel]
"""A model, its seed, and its kernel of one type of sites."""


def kernels(table: pd.DataFrame) -> dict[str, list[Found]]:
    """Kernels in `table`, the contents of model files, by the name of the type of sites, which is
    empty where there is one type only."""
    found = {}
    for row in table.to_dict("records"):
        if not DYNAMICS[row["model"]].memory:
            continue
        types = row.get("types")
        for name, columns in (types if isinstance(types, dict) else {"": row}).items():
            each = row["model"], row["seed"], Kernel.of_columns(columns)
            found.setdefault(name, []).append(each)
    return found


def memory_kernel(results: Results) -> Figure:
    """K(t)/m and its spectrum, a thin line for every seed, a row of panels for each type."""
    found = kernels(results.tables["model"])
    figure = style.new_figure(style.DOUBLE_COLUMN, 0.5 + 2.2 * len(found))
    rows = figure.subplots(len(found), 2, squeeze=False)
    truth = true_kernel(results.truth)
    for (name, of_type), axes in zip(found.items(), rows, strict=True):
        if truth is not None:
            draw_truth(axes, of_type, truth)
        draw_time(axes[0], of_type, name)
        draw_spectrum(axes[1], of_type)
        for axis in axes:
            axis.set_title(name)
    for letter, axis in zip("abcdefghijklmnop", rows.ravel(), strict=False):
        style.letter(axis, letter)
    handles = [handle for axes in rows for handle in axes[0].get_legend_handles_labels()[0]]
    limit = Line2D([], [], color="0.4", linestyle=MARKOVIAN, label="Markovian limit")
    figure.legend(handles=[*handles, limit], loc="outside upper center", ncols=2)
    return figure


def true_kernel(truth: Mapping | None) -> Kernel | None:
    """That of a reference whose memory is known."""
    if truth is None or "exponential_time_ps" not in truth:
        return None
    return Kernel.of_columns(truth)


def draw_truth(axes: Sequence[Axes], found: list[Found], truth: Kernel) -> None:
    """K(t)/m and its spectrum, a broad grey line behind those of the models."""
    shown = [*(kernel for *_, kernel in found), truth]
    t = np.linspace(0, DECAYED * max(np.max(_times(each)) for each in shown), POINTS)
    omega = np.linspace(0, WIDTH * max(np.max(_frequencies(each)) for each in shown), POINTS)
    label = f"truth, white part {truth.white:.2g} ps$^{{-1}}$"
    look = {"color": "0.75", "linewidth": 3.0, "zorder": 0.8}
    axes[0].plot(t, truth.at(t), label=label, **look)
    axes[1].plot(WAVENUMBER * omega, truth.spectrum(omega), **look)


def draw_time(axis: Axes, found: list[Found], name: str) -> None:
    """K(t)/m without its white part, whose integral the legend gives; `name` of the type."""
    slowest = max(np.max(_times(kernel), initial=0.0) for *_, kernel in found)
    t = np.linspace(0, DECAYED * slowest, POINTS)
    labels = _labels(found, name)
    for model, _, kernel in found:
        _line(axis, model, t, kernel.at(t), label=labels.pop(model, None))
    axis.axhline(0, color="0.7", linewidth=0.5, zorder=0.5)
    axis.set(xlabel=TIME_LABEL, ylabel=r"$K(t)/m$ (ps$^{-2}$)", xlim=(0, t[-1]))


def draw_spectrum(axis: Axes, found: list[Found]) -> None:
    """The friction at each frequency over m; dashed, that of slow motion at all of them."""
    fastest = max(np.max(_frequencies(kernel), initial=1.0) for *_, kernel in found)
    omega = np.linspace(0, WIDTH * fastest, POINTS)
    for model, _, kernel in found:
        friction = kernel.spectrum(omega)
        _line(axis, model, WAVENUMBER * omega, friction)
        axis.axhline(friction[0], color=MODELS[model].color, linestyle=MARKOVIAN, linewidth=0.7)
    axis.set(
        xlabel="wavenumber (cm$^{-1}$)",
        ylabel=r"$\mathrm{Re}\,\tilde{K}(\omega)/m$ (ps$^{-1}$)",
        xlim=(0, WAVENUMBER * omega[-1]),
        ylim=(0, None),
    )


def _line(axis: Axes, model: str, x: np.ndarray, y: np.ndarray, label: str | None = None) -> None:
    axis.plot(x, y, color=MODELS[model].color, linewidth=0.8, label=label)


def _labels(found: list[Found], name: str) -> dict[str, str]:
    """Legend of each model: the white part of each seed."""
    white = {}
    for model, _, kernel in found:
        white.setdefault(model, []).append(f"{kernel.white:.2g}")
    return {
        model: f"{name} {MODELS[model].label}, white part {', '.join(each)} ps$^{{-1}}$".strip()
        for model, each in white.items()
    }


def _times(kernel: Kernel) -> np.ndarray:
    """ps, of all modes."""
    return np.concatenate([kernel.times, 1 / kernel.rates])


def _frequencies(kernel: Kernel) -> np.ndarray:
    """rad/ps, at which modes swing, with the width of their lines, and in which others decay."""
    return np.concatenate([1 / kernel.times, kernel.rates + kernel.frequencies])
