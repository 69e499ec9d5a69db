"""Figure of a reference whose parameters are known: did the training find them."""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.plotting import panels, style
from dynmatch.plotting.diagnostics import UPDATE_LABEL
from dynmatch.plotting.free_energy import CORE
from dynmatch.plotting.structure import DISTANCE_LABEL
from dynmatch.plotting.style import MODELS, REFERENCE
from dynmatch.plotting.tables import Results, models_in
from dynmatch.summary.rows import RDF_FLOOR
from dynmatch.units import BOLTZMANN

QUANTITIES = {
    "d0_nm2_per_ps": r"$D_0$",
    "gamma_over_alpha": r"$\gamma/\alpha$",
    "mass_over_alpha2": r"$m/\alpha^2$",
}
"""Identifiable parameters, by their column in the training history."""
TOLERANCE = 0.05
"""Half-width of the band around the truth that a learned parameter should be in."""
MARKERS = dict(zip(DYNAMICS, cycle("so^v"), strict=False))
PMF_TOLERANCE = 0.1
"""Half-width of the band around the true potential of mean force, in kB T."""


def parameters(trained: pd.DataFrame, truth: Mapping[str, float]) -> pd.DataFrame:
    """Learned parameters beside their true values: model, seed, quantity, value, error, truth.

    `trained` has the rows of model.yaml (`tables.collect`), `truth` true values by its columns. A
    single training has no standard error (NaN): the spread of the seeds shows it.
    """
    known = [name for name in QUANTITIES if name in truth]
    learned = trained.melt(["model", "seed"], known, "quantity").dropna(subset="value")
    value = learned["value"].astype(float)
    return learned.assign(value=value, error=np.nan, truth=learned["quantity"].map(truth))


def draw_approach(axis: Axes, history: pd.DataFrame, learned: pd.DataFrame, quantity: str) -> None:
    """A parameter over its true value against the update, one line for every model and seed.

    `learned` are its rows of `parameters`.
    """
    panels.tolerance(axis, 1.0, TOLERANCE, f"±{TOLERANCE:.0%}")
    for row in learned.itertuples():
        run = history[(history["model"] == row.model) & (history["seed"] == row.seed)]
        look = MODELS[row.model]
        axis.plot(
            run["update"],
            run[quantity] / row.truth,
            color=look.color,
            linestyle=look.linestyle,
            linewidth=0.8,
        )
    axis.set(xlabel=UPDATE_LABEL, ylabel=f"{QUANTITIES[quantity]} / truth", xlim=(0, None))


def draw_parameters(axis: Axes, table: pd.DataFrame) -> None:
    """Learned parameters over their true values, a point with its standard error per seed.

    `table` as from `parameters`.
    """
    panels.tolerance(axis, 1.0, TOLERANCE, f"±{TOLERANCE:.0%}")
    groups = [
        (model, quantity)
        for quantity in QUANTITIES
        for model in models_in(table)
        if ((table["model"] == model) & (table["quantity"] == quantity)).any()
    ]
    for position, (model, quantity) in enumerate(groups):
        rows = table[(table["model"] == model) & (table["quantity"] == quantity)]
        axis.errorbar(
            position + np.linspace(-0.25, 0.25, len(rows) + 2)[1:-1],
            rows["value"] / rows["truth"],
            rows["error"] / rows["truth"],
            color=MODELS[model].color,
            marker=MARKERS[model],
            markersize=3.5,
            linestyle="none",
            capsize=1.5,
            elinewidth=0.8,
        )
    axis.set_xticks(range(len(groups)), [f"{QUANTITIES[q]}\n{MODELS[m].label}" for m, q in groups])
    axis.tick_params(axis="x", which="both", length=0)
    spread = 1.25 * max(2 * TOLERANCE, float((table["value"] / table["truth"] - 1).abs().max()))
    axis.set(xlim=(-0.6, len(groups) - 0.4), ylim=(1 - spread, 1 + spread))
    axis.set(xlabel="parameter, model", ylabel="learned / truth")


def _compared(curve: pd.DataFrame, thermal: float) -> pd.DataFrame:
    return curve[curve["mean"] < -thermal * np.log(RDF_FLOOR)]


def draw_pmf_error(axis: Axes, results: Results) -> None:
    """Potential of mean force minus the true one, kB T, where the true g(r) > RDF_FLOOR."""
    thermal = BOLTZMANN * results.temperature
    models = results.curves("pmf")
    truth, errors = _compared(models.pop(REFERENCE), thermal), {}
    panels.tolerance(axis, 0.0, PMF_TOLERANCE, f"±{PMF_TOLERANCE} " + r"$k_\mathrm{B}T$")
    panels.band(axis, truth["r_nm"], 0.0, truth["error"].to_numpy() / thermal, "black")
    for model, curve in models.items():
        difference = (curve["mean"] - panels.at_points(curve, truth, "r_nm")) / thermal
        panels.line(axis, model, curve["r_nm"], difference, curve["error"] / thermal)
        errors[model] = curve["r_nm"].to_numpy(), difference.to_numpy()
    axis.set(
        xlabel=DISTANCE_LABEL,
        ylabel=r"$w - w_\mathrm{truth}$ ($k_\mathrm{B}T$)",
        ylim=(-3 * PMF_TOLERANCE, 3 * PMF_TOLERANCE),
    )
    for model, (r, difference) in errors.items():
        panels.mark_leaving(axis, model, r, difference)


def recovery(results: Results) -> Figure:
    """Learned parameters and potential of mean force against the truth."""
    table = parameters(results.tables["model"], results.truth or {})
    quantities = [q for q in QUANTITIES if (table["quantity"] == q).any()]
    figure = style.new_figure(style.DOUBLE_COLUMN, 4.6)
    upper, lower = figure.subfigures(2, 1)
    approach = upper.subplots(1, len(quantities), squeeze=False)[0]
    for axis, quantity in zip(approach, quantities, strict=True):
        learned_one = table[table["quantity"] == quantity]
        draw_approach(axis, results.tables["history"], learned_one, quantity)
    learned, pmf, pmf_error = lower.subplots(1, 3)
    draw_parameters(learned, table)
    panels.curves(pmf, results, "pmf", "r_nm")
    highest = CORE * BOLTZMANN * results.temperature
    pmf.set(xlabel=DISTANCE_LABEL, ylabel=r"$w(r)$ (kJ/mol)", ylim=(None, highest))
    draw_pmf_error(pmf_error, results)
    for letter, axis in zip("abcdef", [*approach, learned, pmf, pmf_error], strict=False):
        style.letter(axis, letter)
    panels.legend_above(figure, pmf)
    return figure
