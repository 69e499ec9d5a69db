"""Every metric of the summary side by side: models, floor, null model and bar."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from dynmatch.plotting import panels, style
from dynmatch.plotting.style import MODELS
from dynmatch.plotting.tables import Results, models_in
from dynmatch.summary.bars import BARS, Bar

COLUMNS = 4
HEIGHT, LINE = 1.6, 0.15
"""Of a row of panels and of a line of the legend, in."""
METRICS = {
    ("rdf", "mae"): r"RDF, $\langle|\Delta g|\rangle$",
    ("adf", "mae"): r"ADF, $\langle|\Delta P|\rangle$",
    ("tetrahedral", "mae"): r"$P(q)$, $\langle|\Delta P|\rangle$",
    ("scattering", "mae"): r"$F_\mathrm{s}$, $\langle|\Delta F_\mathrm{s}|\rangle$",
    ("msd", "log_rmse 0.02-1 ps"): "MSD ratio, 0.02-1 ps",
    ("msd", "log_rmse 1-10 ps"): "MSD ratio, 1-10 ps",
    ("msd", "log_rmse 10-200 ps"): "MSD ratio, 10-200 ps",
    ("diffusion", "ratio"): r"|$D$ ratio - 1|",
    ("vacf", "mae"): r"VACF, $\langle|\Delta|\rangle$",
    ("vacf", "largest"): r"VACF, max$|\Delta|$",
    ("velocity_variance", "ratio"): r"|$\langle v^2\rangle$ ratio - 1|",
    ("fes", "jsd"): r"$F(\phi, \psi)$, JS divergence",
    ("timescale_ratio", "phi"): r"|ratio of times of $\phi$ - 1|",
    ("timescale_ratio", "psi"): r"|ratio of times of $\psi$ - 1|",
}
"""Metrics that are drawn where a system has them, and their axis labels."""
TARGETS = {"ratio": 1.0, "phi": 1.0, "psi": 1.0}
"""Values that are right, by metric, of those that are not 0."""
NULL_HANDLE = Line2D([], [], color="0.3", linestyle="--", linewidth=0.8, label="null model")
BAR_HANDLE = Line2D([], [], color=style.BAR_COLOR, linewidth=1.2, label="bar")
BELOW = 0.5
"""The ordinate begins at this fraction of the smallest number."""


def over_seeds(summary: pd.DataFrame, observable: str, metric: str) -> pd.DataFrame:
    """Rows of a metric for each model that has a value: over seeds, or that of the only seed."""
    rows = summary[(summary["observable"] == observable) & (summary["metric"] == metric)]
    rows = rows[rows["value"].notna() & rows["model"].isin(MODELS)]
    means = rows[rows["seed"] == "mean"]
    single = rows[~rows["model"].isin(means["model"])]
    return pd.concat([means, single]).set_index("model")


def comparison(results: Results) -> Figure:
    """A panel for each metric, a marker for each model; the lower the better, down to the floor."""
    summary = results.tables["summary"]
    found = {quantity: over_seeds(summary, *quantity) for quantity in METRICS}
    found = {quantity: rows for quantity, rows in found.items() if len(rows)}
    shown = pd.concat(found.values()).reset_index()
    models, several = models_in(shown), "mean" in set(shown["seed"])
    rows = math.ceil(len(found) / COLUMNS)
    handles = [_marker(model) for model in models]
    handles += [panels.floor_handle(results), NULL_HANDLE, BAR_HANDLE]
    lines = math.ceil(len(handles) / COLUMNS)
    figure = style.new_figure(style.DOUBLE_COLUMN, 0.3 + LINE * lines + HEIGHT * rows)
    axes = figure.subplots(rows, min(COLUMNS, len(found)), squeeze=False).flatten()
    bars = [bar for some in BARS.values() for bar in some]
    for axis, (quantity, own) in zip(axes, found.items(), strict=False):
        for_it = [bar for bar in bars if (bar.observable, bar.metric) == quantity]
        _draw(axis, own, models, TARGETS.get(quantity[1], 0.0), for_it)
        axis.set_ylabel(METRICS[quantity])
        axis.set_xticks([])
    for axis in axes[len(found) :]:
        axis.set_axis_off()
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=COLUMNS,
        title=f"markers: {'mean over seeds' if several else 'value'} ± 1 standard error",
    )
    return figure


def _marker(model: str) -> Line2D:
    """Legend entry of a model."""
    look = MODELS[model]
    shape = {"marker": look.marker, "markersize": 4, "linestyle": "none"}
    return Line2D([], [], color=look.color, label=look.label, **shape)


def _draw(axis: Axes, own: pd.DataFrame, models: list[str], target: float, bars: list[Bar]) -> None:
    """Distances from the target, the floor below them, null model and bars as lines."""
    floor, null, widths = own["floor"].max(), (own["null"] - target).abs().max(), []
    for place, model in enumerate(models):
        if model not in own.index:
            continue
        row, look = own.loc[model], MODELS[model]
        value = abs(row["value"] - target)
        axis.errorbar(
            place,
            value,
            yerr=np.nan_to_num(row["error"]),
            color=look.color,
            marker=look.marker,
            markersize=4,
            linestyle="none",
            elinewidth=0.8,
            label=look.label,
        )
        for bar in bars:
            if model in (bar.models or [model]):
                half = bar.half_width(row["floor"])
                axis.plot([place - 0.4, place + 0.4], [half, half], color=style.BAR_COLOR, lw=1.2)
                widths.append(half)
    numbers = np.array([*(own["value"] - target).abs(), floor, null, *widths])
    low = BELOW * numbers[numbers > 0].min(initial=1.0)
    axis.set_yscale("log")
    axis.set_ylim(low, 2 * max(low, numbers[np.isfinite(numbers)].max()))
    if np.isfinite(floor):
        axis.axhspan(low, floor, color="black", alpha=panels.BAND_ALPHA, lw=0, zorder=0)
    if np.isfinite(null):
        axis.axhline(null, color="0.3", linestyle="--", linewidth=0.8)
    axis.set_xlim(-0.6, len(models) - 0.4)
    panels.plain_numbers(axis.yaxis)
