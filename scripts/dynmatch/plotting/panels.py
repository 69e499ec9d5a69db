"""Pieces that several figures share: curves with bands, differences, the training window."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure, FigureBase
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator

from dynmatch.plotting import style
from dynmatch.plotting.style import MODELS, REFERENCE
from dynmatch.plotting.tables import Results

BAND_ALPHA = 0.25
ENTRY_LINE, ENTRY_LETTER = 0.45, 0.065
"""Width that the line of a legend's entry and each letter of its text need, in."""
DIFFERENCE = 0.5
"""Largest difference of two free energies that is told from larger ones, kB T."""
BAND_NOTE = "lines: mean, bands: ± 1 standard error"
"""Title of legends: what line and band are."""


def line(axis: Axes, model: str, x, y, error=None, label: str | None = None) -> Line2D:
    """Draw one model's curve and, where an error is given, its band of one standard error."""
    look = MODELS[model]
    (drawn,) = axis.plot(
        x,
        y,
        color=look.color,
        linestyle=look.linestyle,
        linewidth=look.linewidth,
        zorder=look.zorder,
        label=label,
    )
    if error is not None:
        band(axis, x, np.asarray(y), np.asarray(error), look.color)
    return drawn


def band(axis: Axes, x, y: np.ndarray | float, error: np.ndarray, color) -> None:
    """Fill y - error to y + error."""
    axis.fill_between(
        x, y - error, y + error, color=color, alpha=BAND_ALPHA, linewidth=0, zorder=1.5
    )


def label(results: Results, model: str, curve: pd.DataFrame) -> str:
    """Legend text of a model, with the number of seeds where there are several."""
    seeds = curve["seeds"].max()
    return results.label(model) + (f" ({seeds} seeds)" if seeds > 1 else "")


def curves(axis: Axes, results: Results, name: str, key: str) -> None:
    """Draw an observable of one variable: mean over seeds and band, every model that has it."""
    for model, curve in results.curves(name).items():
        text = label(results, model, curve)
        line(axis, model, curve[key], curve["mean"], curve["error"], text)


def at_points(curve: pd.DataFrame, reference: pd.DataFrame, key: str) -> np.ndarray:
    """Mean of `reference` at the points of `curve`, linearly interpolated; NaN out of its range."""
    return np.interp(curve[key], reference[key], reference["mean"], left=np.nan, right=np.nan)


def differences(axis: Axes, results: Results, name: str, key: str) -> None:
    """Draw model minus reference; the grey band is the floor."""
    models = results.curves(name)
    reference, floor = models.pop(REFERENCE), results.floor(name)
    axis.axhline(0, color="black", linewidth=0.6, zorder=1)
    band(axis, floor[key], 0.0, floor["error"].to_numpy(), "black")
    for model, curve in models.items():
        difference = curve["mean"] - at_points(curve, reference, key)
        line(axis, model, curve[key], difference, curve["error"])


def mark_leaving(axis: Axes, model: str, x: np.ndarray, y: np.ndarray) -> None:
    """A triangle on the edge of the panel wherever the curve y(x) leaves it, and where it begins
    outside. Call it when the axis has its final range of values."""
    for edge, marker, outside in zip(
        axis.get_ylim(), ("v", "^"), (y < axis.get_ylim()[0], y > axis.get_ylim()[1]), strict=True
    ):
        leaves = outside & ~np.concatenate([[False], outside[:-1]])
        if not leaves.any():
            # an empty line that is not clipped takes room down to the figure's corner
            continue
        axis.plot(
            x[leaves],
            np.full(leaves.sum(), edge),
            color=style.MODELS[model].color,
            marker=marker,
            markersize=4,
            linestyle="none",
            clip_on=False,
            zorder=4,
        )


def shade_window(axis: Axes, window: float, text_y: float | None = None) -> None:
    """Shade the times that a training window covers, from 0 to `window` ps.

    Call it when the axis has its final time range. With text_y, the words "training window" are
    written at that height (a fraction of the panel); without, a legend has to carry them.
    """
    limits = axis.get_xlim()
    axis.axvspan(0, window, color=style.WINDOW_COLOR, linewidth=0, zorder=0)
    axis.set_xlim(limits)
    if text_y is None:
        return
    covered = window >= limits[1]
    axis.text(
        0.5 if covered else window,
        text_y,
        "training window" if covered else "training window ",
        transform=axis.transAxes if covered else axis.get_xaxis_transform(),
        ha="center" if covered else "right",
        va="center",
        fontsize=7,
        color=style.WINDOW_TEXT_COLOR,
    )


def floor_handle(results: Results) -> Artist:
    """Legend entry of the band of a floor."""
    label = f"floor: {results.reference} against {results.reference}"
    return Patch(color="black", alpha=BAND_ALPHA, linewidth=0, label=label)


def window_handle() -> Artist:
    """Legend entry of the shaded training window."""
    return Patch(color=style.WINDOW_COLOR, label="training window")


def tolerance(axis: Axes, centre: float, half_width: float, text: str) -> None:
    """A band around the value that would be right; `text`, its half-width, stands beside it."""
    axis.axhspan(
        centre - half_width, centre + half_width, color=style.TOLERANCE_COLOR, lw=0, zorder=0.2
    )
    axis.axhline(centre, color="black", linewidth=0.6, zorder=1)
    axis.annotate(
        text,
        (1, centre),
        xycoords=axis.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        rotation=90,
        fontsize=7,
    )


def map_title(results: Results, model: str) -> str:
    """Of the map of the reference, or of a model's difference from it, in two lines if need be."""
    difference = "" if model == REFERENCE else f" - {results.reference}"
    return results.label(model).replace(", ", ",\n") + difference


def free_energy_maps(
    figure: FigureBase,
    axes: Sequence[Axes],
    maps: Sequence[pd.DataFrame],
    name: str,
    thermal: float,
    depth: int,
    step: int,
) -> None:
    """F of the reference, the first of `maps`, and that of each model less it; grey: not sampled.

    maps     kJ/mol, with the ordinate as index and the abscissa as columns
    name     of F
    thermal  kB T, kJ/mol
    depth    kB T above its minimum up to which F is shown, with a contour line every `step` kB T,
             on the differences as well
    """
    first, *others = axes
    reference = np.ma.masked_invalid(maps[0].to_numpy())
    levels = thermal * np.arange(step, depth, step)
    span = DIFFERENCE * thermal
    for axis, table in zip(axes, maps, strict=True):
        shown, colors, low, high = reference, style.FREE_ENERGY_MAP, 0, depth * thermal
        if axis is not first:
            own = np.ma.masked_invalid(table.reindex_like(maps[0]).to_numpy())
            shown, colors, low, high = own - reference, style.DIFFERENCE_MAP, -span, span
        axis.set_facecolor(style.UNSAMPLED_COLOR)
        mesh = axis.pcolormesh(
            maps[0].columns,
            maps[0].index,
            shown,
            cmap=colors,
            vmin=low,
            vmax=high,
            shading="nearest",
            rasterized=True,
        )
        lines = {"colors": "white" if axis is first else "0.4", "linewidths": 0.5}
        axis.contour(maps[0].columns, maps[0].index, reference, levels=levels, **lines)
        if axis is first:
            bar = figure.colorbar(mesh, ax=axis, extend="max", location="bottom")
            bar.set_label(f"{name} (kJ/mol)")
    if others:
        bar = figure.colorbar(mesh, ax=others, extend="both", location="bottom", aspect=40)
        bar.set_label(f"{name} of the model less that of the reference (kJ/mol)")


def log_time(axis: Axes, first: float, last: float) -> None:
    """A logarithmic time axis from first to last, ps, every decade ticked, plain numbers."""
    axis.set_xscale("log")
    axis.set_xlim(first, last)
    axis.xaxis.set_major_locator(LogLocator(numticks=12))
    axis.xaxis.set_minor_locator(LogLocator(subs=range(2, 10), numticks=12))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("")


def log_value(axis: Axes) -> None:
    """A logarithmic ordinate with plain numbers at 1, 2 and 5 of every decade."""
    axis.set_yscale("log")
    plain_numbers(axis.yaxis)


def plain_numbers(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of every decade of a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def stack(figure: Figure, cell: SubplotSpec) -> tuple[Axes, Axes]:
    """A main panel and a lower one with the same abscissa, in one cell of a figure's grid."""
    rows = cell.subgridspec(2, 1, height_ratios=[2.5, 1])
    lower = figure.add_subplot(rows[1])
    main = figure.add_subplot(rows[0], sharex=lower)
    main.tick_params(labelbottom=False)
    return main, lower


def stacked_figure(height: float) -> tuple[Figure, Axes, Axes]:
    """A figure one column wide with a main panel and a lower one."""
    figure = style.new_figure(style.SINGLE_COLUMN, height)
    return figure, *stack(figure, figure.add_gridspec(1, 1)[0])


def legend_above(figure: Figure, axis: Axes, *extra: Artist) -> None:
    """The legend of `axis`, with extra entries, above the panels, where it covers no data."""
    handles = [*axis.get_legend_handles_labels()[0], *extra]
    letters = max(len(handle.get_label()) for handle in handles)
    entry = ENTRY_LINE + ENTRY_LETTER * letters
    columns = max(1, min(len(handles), int(figure.bbox.width / figure.dpi / entry)))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, title=BAND_NOTE)
