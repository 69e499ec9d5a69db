"""Dynamics matching against the usual methods: error of the dynamics and of the structure."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dynmatch.plotting import panels, style
from dynmatch.plotting.style import MODELS
from dynmatch.plotting.tables import Results, models_in

DYNAMICS_ERROR = ("msd", "log_rmse")
STRUCTURE_ERRORS = {("rdf", "mae"): r"RDF error $\langle|\Delta g|\rangle$"} | {
    ("adf", "mae"): r"ADF error $\langle|\Delta P|\rangle$"
}


def over_seeds(summary: pd.DataFrame, observable: str, metric: str) -> pd.DataFrame:
    """Mean and error of a metric for each model: over seeds, or that of the only seed."""
    rows = summary[(summary["observable"] == observable) & (summary["metric"] == metric)]
    means = rows[rows["seed"] == "mean"]
    single = rows[~rows["model"].isin(means["model"])]
    return pd.concat([means, single]).set_index("model")[["value", "error"]]


def comparison(results: Results) -> Figure:
    """One marker for each model: the lower left corner is where both errors vanish."""
    summary = results.tables["summary"]
    dynamics = over_seeds(summary, *DYNAMICS_ERROR)
    figure = style.new_figure(style.DOUBLE_COLUMN, 3.4)
    axes = figure.subplots(1, len(STRUCTURE_ERRORS))
    for axis, (quantity, text) in zip(axes, STRUCTURE_ERRORS.items(), strict=True):
        structure = over_seeds(summary, *quantity)
        for model in models_in(dynamics.reset_index()):
            x, y = dynamics.loc[model], structure.loc[model]
            look = MODELS[model]
            axis.errorbar(
                x["value"],
                y["value"],
                xerr=np.nan_to_num(x["error"]),
                yerr=np.nan_to_num(y["error"]),
                color=look.color,
                marker=look.marker,
                markersize=5,
                linestyle="none",
                elinewidth=0.8,
                label=look.label,
            )
        axis.set(
            xscale="log",
            yscale="log",
            xlabel=f"MSD error, RMS of ln ratio, lags ≥ {min(results.lags):g} ps",
            ylabel=text,
        )
        panels.plain_numbers(axis.xaxis)
        panels.plain_numbers(axis.yaxis)
    for letter, axis in zip("ab", axes, strict=True):
        style.letter(axis, letter)
    figure.legend(
        handles=axes[0].get_legend_handles_labels()[0],
        loc="outside upper center",
        ncols=4,
        title="mean over seeds ± 1 standard error",
    )
    return figure
