"""Figure of the training: did it converge, and to what."""

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import SymmetricalLogLocator

from dynmatch.plotting import panels, style
from dynmatch.plotting.style import MODELS
from dynmatch.plotting.tables import Results, models_in

UPDATE_LABEL = "generator update"


def draw_history(axis: Axes, table: pd.DataFrame, column: str, faint: bool = False) -> None:
    """Draw one column against the update, a thin line for every model and seed that has it."""
    for model in reversed(models_in(table)):
        for _, run in table[table["model"] == model].groupby("seed"):
            known = run.dropna(subset=[column])
            if known.empty:
                continue
            axis.plot(
                known["update"],
                known[column],
                color=MODELS[model].color,
                linestyle=MODELS[model].linestyle,
                linewidth=0.7,
                alpha=0.35 if faint else 0.9,
            )
    axis.set(xlabel=UPDATE_LABEL, xlim=(0, None))


def draw_d0(axis: Axes, results: Results) -> None:
    """The learned D0 = kB T alpha / gamma, and how many updates were planned for each model."""
    history = results.tables["history"]
    draw_history(axis, history, "d0_nm2_per_ps")
    for model, updates in results.planned.items():
        axis.axvline(updates, color=MODELS[model].color, linewidth=1.0, linestyle=":", zorder=0.5)
    last = max([*results.planned.values(), history["update"].max()])
    axis.set(xlim=(0, 1.03 * last), xlabel=f"{UPDATE_LABEL}, planned dotted")
    axis.set_ylabel(r"$D_0$ (nm$^2$/ps)")


def _start(axis: Axes, results: Results) -> None:
    draw_history(axis, results.tables["start"], "rdf_error")
    panels.log_value(axis)
    axis.set(xlabel="structural-start update", ylabel="RDF error")


def _gap(axis: Axes, results: Results) -> None:
    history = results.tables["history"]
    draw_history(axis, history, "score_gap")
    for model in models_in(history):
        floors = history[history["model"] == model].groupby("update")["gap_floor"].mean().dropna()
        axis.plot(floors.index, floors, color=MODELS[model].color, linewidth=1.4, linestyle=":")
    floor = history["gap_floor"].median()
    if floor > 0:
        # logarithmic above the floor; linear below it, where the gap may be negative
        axis.set_yscale("symlog", linthresh=floor, subs=range(2, 10))
        ticks = SymmetricalLogLocator(axis.yaxis.get_transform(), subs=(1, 2, 5))
        axis.yaxis.set_major_locator(ticks)
        axis.yaxis.set_major_formatter("{x:g}")
    axis.set_ylabel("score gap, noise floor dotted")


def _loss(axis: Axes, results: Results) -> None:
    draw_history(axis, results.tables["history"], "classifier_loss", faint=True)
    draw_history(axis, results.tables["history"], "heldout_loss")
    axis.set_ylabel("classifier loss, training faint")


def _gradient(axis: Axes, results: Results) -> None:
    draw_history(axis, results.tables["history"], "gradient_norm")
    panels.log_value(axis)
    axis.set_ylabel("gradient norm")


def _roughness(axis: Axes, results: Results) -> None:
    draw_history(axis, results.tables["history"], "roughness")
    axis.set_ylabel("roughness of the potential")


def _friction(axis: Axes, results: Results) -> None:
    draw_history(axis, results.tables["history"], "gamma_over_alpha")
    axis.set_ylabel(r"$\gamma/\alpha$ (amu/ps)")


def _mass(axis: Axes, results: Results) -> None:
    draw_history(axis, results.tables["history"], "mass_over_alpha2")
    axis.set_ylabel(r"$m/\alpha^2$ (amu)")


def _outcome(axis: Axes, results: Results) -> None:
    """Legend of the models, and how each run ended."""
    table = results.tables["model"].sort_values(["model", "seed"])
    axis.set_axis_off()
    looks = [MODELS[model] for model in models_in(table)]
    handles = [
        Line2D([], [], color=look.color, linestyle=look.linestyle, label=look.label)
        for look in looks
    ]
    axis.legend(handles=handles, ncols=3, loc="upper left", borderaxespad=0)
    lines = [
        textwrap.fill(
            f"{MODELS[run.model].label} {run.seed}: "
            + ("converged" if run.status == "ok" else f"NOT converged: {run.status}")
            + f", {run.updates} updates, {run.minutes:.1f} min",
            width=42,
            subsequent_indent="   ",
        )
        for run in table.itertuples()
    ]
    below = {"xytext": (0, -18), "textcoords": "offset points"}
    axis.annotate("\n".join(lines), (0, 1), xycoords="axes fraction", **below, va="top", fontsize=7)


def diagnostics(results: Results) -> Figure:
    """What was recorded at every update of the training, for each model and seed.

    A molecule has neither a structural start nor a roughness.
    """
    history = results.tables["history"]
    panels_with_data = {
        _start: not results.tables["start"].empty,
        _gap: True,
        draw_d0: True,
        _friction: True,
        _mass: history["mass_over_alpha2"].notna().any(),
        _gradient: True,
        _loss: True,
        _roughness: history["roughness"].any(),
    }
    draw = [draw_panel for draw_panel, has_data in panels_with_data.items() if has_data]
    rows, last = divmod(len(draw), 3)
    # a row for the outcome alone needs no more than its lines
    heights = [1.0] * rows + [1.0 if last else 0.5]
    figure = style.new_figure(style.DOUBLE_COLUMN, 2.0 * sum(heights))
    axes = figure.subplots(rows + 1, 3, height_ratios=heights).flatten()
    for letter, draw_panel, axis in zip("abcdefgh", draw, axes, strict=False):
        draw_panel(axis, results)
        style.letter(axis, letter)
    for axis in axes[len(draw) + 1 :]:
        axis.set_axis_off()
    _outcome(axes[len(draw)], results)
    return figure
