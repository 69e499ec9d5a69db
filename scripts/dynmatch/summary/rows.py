"""Rows of the summary: one for each system, model, seed and metric.

Every metric is a function of mean curves; its standard error is a delete-one jackknife over the
samples (time blocks and replicas; for the MSD also sites) behind the curves of both the model and
the reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dynmatch.observables.registry import ANALYSES
from dynmatch.runtime.names import named
from dynmatch.statistics import jackknife_error, mean_and_error

COLUMNS = ["system", "model", "seed", "observable", "metric", "value", "error"]

TRAINED = {
    ("diffusion0", "value"): "d0_nm2_per_ps",
    ("friction_time", "value"): "gamma_over_alpha",
    ("mass_time", "value"): "mass_over_alpha2",
    ("memory", "white_friction"): "white_friction_amu_per_ps",
    ("memory", "mean_time"): "memory_time_ps",
    ("memory", "exponential_time"): "exponential_time_ps",
    ("memory", "cosine_frequency"): "cosine_frequency_rad_per_ps",
    ("training", "minutes"): "minutes",
    ("training", "converged"): "converged",
}
"""Rows taken from model.yaml as they are, by observable and metric; a list is a row for each."""

RECOVERED = {
    "diffusion0_ratio": "d0_nm2_per_ps",
    "gamma_over_alpha_ratio": "gamma_over_alpha",
    "mass_over_alpha2_ratio": "mass_over_alpha2",
}
"""Metrics of parameters that should be 1 where the truth is known: learned over true."""
RDF_FLOOR = 0.05
"""Potentials of mean force are compared where the true g(r) is above this."""

Row = tuple[str, str, float, float]
Samples = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Compared:
    """A run of a model beside its reference.

    model, reference  their samples, see `observables.analysis.observe`
    diffusion         their tables of D, in that order
    settings          values of the config by dotted key, `compares_by` of the analysis
    """

    model: Samples
    reference: Samples
    diffusion: tuple[pd.DataFrame, pd.DataFrame]
    settings: Mapping[str, Any]


def rows_of(analysis: str, compared: Compared) -> list[Row]:
    """Rows (observable, metric, value, error) of all observables of an analysis."""
    cards = ANALYSES[analysis].observables.values()
    return [row for card in cards if card.rows for row in named(card.rows)(compared)]


def diffusion_rows(compared: Compared) -> list[Row]:
    """D_cg / D_aa, its relative error the root of the summed squares, and D_cg (nm^2/ps)."""
    (value, error), (expected, uncertainty) = map(_diffusion, compared.diffusion)
    ratio = value / expected
    spread = ratio * np.hypot(error / value, uncertainty / expected)
    return [("diffusion", "ratio", ratio, spread), ("diffusion", "value", value, error)]


def trained_rows(trained: Mapping) -> list[Row]:
    """Rows of TRAINED, taken from `trained`, the content of model.yaml; those of the numbers of a
    list are called METRIC_1, METRIC_2, ..."""
    found = {}
    for (observable, metric), key in TRAINED.items():
        value = trained.get(key)
        if isinstance(value, list):
            found |= {(observable, f"{metric}_{n}"): each for n, each in enumerate(value, 1)}
        elif value is not None:
            found[observable, metric] = value
    return [(*names, float(value), np.nan) for names, value in found.items()]


def recovery_rows(compared: Compared, trained: Mapping, truth: Mapping[str, float]) -> list[Row]:
    """Learned over true parameters, and the largest error of the potential of mean force in kB T.

    The latter is max |ln g_model - ln g_true| where g_true > RDF_FLOOR.
    """

    def largest(first: np.ndarray, second: np.ndarray) -> float:
        compared = second > RDF_FLOOR
        return float(np.max(np.abs(np.log(first[compared] / second[compared]))))

    ratios = [
        ("recovery", metric, trained[key] / truth[key], np.nan)
        for metric, key in RECOVERED.items()
        if key in truth and trained.get(key) is not None
    ]
    samples = [compared.model["rdf"]], [compared.reference["rdf"]]
    return [*ratios, row("recovery", "pmf_max_kT", largest, *samples)]


def reference_rows(diffusion: pd.DataFrame) -> list[Row]:
    """Rows of the reference itself: D (nm^2/ps)."""
    return [("diffusion", "value", *_diffusion(diffusion))]


def row(observable: str, metric: str, function, *groups: list[np.ndarray]) -> Row:
    """A metric of mean curves, with its error: function(mean of the first group, ...).

    Each group has the samples of one curve, grouped in one way or several.
    """
    value = function(*(groupings[0].mean(axis=0) for groupings in groups))
    return observable, metric, value, jackknife_error(function, *groups)


def summary(rows: Mapping[tuple[str, str, str], list[Row]]) -> pd.DataFrame:
    """The table of all rows, keyed by (system, model, seed), with COLUMNS.

    Where a model has more than one seed, rows of the seed "mean" follow: the mean over the seeds,
    and as its standard error that from their spread, or the root mean square of their own errors
    where that is larger: all seeds share one reference, whose error no spread can show.
    """
    table = pd.DataFrame(
        [(*key, *row) for key, some in rows.items() for row in some], columns=COLUMNS
    )
    means = []
    for names, group in table.groupby(["system", "model", "observable", "metric"], sort=False):
        if len(group) > 1:
            system, model, *quantity = names
            value, spread = mean_and_error(group["value"].to_numpy())
            own = np.sqrt(np.mean(group["error"].to_numpy() ** 2))
            means.append((system, model, "mean", *quantity, value, np.fmax(spread, own)))
    if means:
        table = pd.concat([table, pd.DataFrame(means, columns=COLUMNS)], ignore_index=True)
    return table


def _diffusion(table: pd.DataFrame) -> tuple[float, float]:
    return float(table["d_nm2_per_ps"].iloc[0]), float(table["error_nm2_per_ps"].iloc[0])
