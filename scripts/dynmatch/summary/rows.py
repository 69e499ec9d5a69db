"""Rows of the summary: one for each system, model, seed and metric.

Every metric is a function of mean curves of a model and of the reference's scoring part, on which
nothing is trained. Its standard error is a delete-one jackknife over the samples (time blocks and
replicas; for the MSD also sites) behind the curves of both. Beside it stand two more numbers:

*Floor*, what a perfect model would show: the metric of the reference's training part against its
scoring part. Both sample the same ensemble, and they differ by noise with a variance of
s^2 (1/L_T + 1/L_S), where L are lengths of trajectories and s^2 the variance of a unit of length. A
perfect model as long as the one that is judged, L_M, differs by s^2 (1/L_M + 1/L_S). The metric is
therefore multiplied by

    ((1/L_M + 1/L_S) / (1/L_T + 1/L_S))^(degree/2),

where degree is the power with which the metric grows with small differences: 1 for absolute
differences and their root mean squares, 2 for divergences, 0 for what is no noise. Of a metric with
a target (a ratio should be 1, a difference 0) the floor is the distance from it, or the standard
error of that distance where it is larger: a single distance may be small by chance.

*Null*, what a model would show that has nothing of what is looked at; each function says which.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from dynmatch.observables.registry import ANALYSES
from dynmatch.runtime.names import named
from dynmatch.statistics import jackknife_error, mean_and_error, ratio_of

COLUMNS = [
    "system",
    "model",
    "seed",
    "observable",
    "metric",
    "value",
    "error",
    "floor",
    "null",
    "status",
]

TRAINED = {
    ("diffusion0", "value"): "d0_nm2_per_ps",
    ("friction_time", "value"): "gamma_over_alpha",
    ("mass_time", "value"): "mass_over_alpha2",
    ("memory", "white_friction"): "white_friction_amu_per_ps",
    ("memory", "mean_time"): "memory_time_ps",
    ("memory", "exponential_time"): "exponential_time_ps",
    ("memory", "cosine_frequency"): "cosine_frequency_rad_per_ps",
    ("training", "updates"): "updates",
    ("training", "converged"): "converged",
}
"""Rows taken from model.yaml as they are, by observable and metric; a list is a row for each. No
wall time: the same config and seeds give the same summary."""

RECOVERED = {
    "diffusion0_ratio": "d0_nm2_per_ps",
    "gamma_over_alpha_ratio": "gamma_over_alpha",
    "mass_over_alpha2_ratio": "mass_over_alpha2",
}
"""Metrics of parameters that should be 1 where the truth is known: learned over true."""
RDF_FLOOR = 0.05
"""Potentials of mean force are compared where the true g(r) is above this."""
SAME = 6
"""Decimals to which two points of a grid are the same."""

Samples = Mapping[str, np.ndarray]
Groupings = list[np.ndarray]
"""The same data grouped into samples (S, ...) in one way or several."""


class Row(NamedTuple):
    """A metric; NaN where there is no number, and `status` says why there is no value."""

    observable: str
    metric: str
    value: float
    error: float = np.nan
    floor: float = np.nan
    null: float = np.nan
    status: str = ""


@dataclass(frozen=True)
class Compared:
    """A run of a model beside its reference.

    model, reference, training
               samples, see `observables.analysis.observe`, of the model, and of the reference's
               scoring and training part
    diffusion  their tables of D, in that order
    settings   values of the config by dotted key, `compares_by` of the analysis
    """

    model: Samples
    reference: Samples
    training: Samples
    diffusion: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
    settings: Mapping[str, Any]

    @property
    def parts(self) -> tuple[Samples, Samples, Samples]:
        return self.model, self.reference, self.training

    def samples(self, *names: str) -> list[Groupings]:
        """Those called `names` of the model, the scoring and the training part."""
        return [[part[name] for name in names] for part in self.parts]

    def on_common(self, grid: str, *names: str) -> tuple[np.ndarray, list[Groupings]]:
        """Points of a grid that all three have, and their samples there: nothing is interpolated.

        Samples have the points on their last axis.
        """
        points = [np.round(part[grid], SAME) for part in self.parts]
        common = reduce(np.intersect1d, points)
        where = [np.searchsorted(own, common) for own in points]
        return common, [
            [part[name][..., at] for name in names]
            for part, at in zip(self.parts, where, strict=True)
        ]

    def noise(self, degree: float) -> float:
        """Factor between the training part and a model in what the noise makes of a metric."""
        of_model, of_reference, of_training = (1 / float(part["duration"]) for part in self.parts)
        return ((of_model + of_reference) / (of_training + of_reference)) ** (degree / 2)


def rows_of(analysis: str, compared: Compared) -> list[Row]:
    """Rows of all observables of an analysis."""
    cards = ANALYSES[analysis].observables.values()
    return [row for card in cards if card.rows for row in named(card.rows)(compared)]


def row(
    compared: Compared,
    observable: str,
    metric: str,
    function: Callable[[np.ndarray, np.ndarray], float],
    parts: Sequence[Groupings],
    *,
    degree: float = 1,
    target: float | None = None,
    null: np.ndarray | None = None,
    status: str = "",
) -> Row:
    """function(mean of the model, mean of the reference) with its error, floor and null.

    parts    samples of the model, the scoring and the training part, as `Compared` gives them
    degree   of the function in small differences; target, the value that is right, where the
             function may miss it in either direction
    null     mean of the model that has nothing of what is looked at, if there is such a one
    """
    model, reference, training = parts
    expected = reference[0].mean(axis=0)
    value = function(model[0].mean(axis=0), expected)
    floor = function(training[0].mean(axis=0), expected)
    if target is not None:
        floor = distance(floor, jackknife_error(function, training, reference), target)
    return Row(
        observable,
        metric,
        value,
        jackknife_error(function, model, reference),
        floor * compared.noise(degree),
        np.nan if null is None else function(null, expected),
        status,
    )


def distance(value: float, error: float, target: float) -> float:
    """Of two parts of one reference, from the target; its standard error, where that is larger."""
    return float(np.fmax(abs(value - target), error))


def diffusion_rows(compared: Compared) -> list[Row]:
    """D_cg / D_aa, its relative error the root of the summed squares, and D_cg (nm^2/ps).

    Null: no motion.
    """
    model, reference, training = map(_diffusion, compared.diffusion)
    ratio, spread = ratio_of(model, reference)
    floor = distance(*ratio_of(training, reference), target=1.0) * compared.noise(1)
    return [
        Row("diffusion", "ratio", ratio, spread, floor, null=0.0),
        Row("diffusion", "value", *model),
    ]


def trained_rows(trained: Mapping) -> list[Row]:
    """Rows of TRAINED, taken from `trained`, the content of model.yaml; those of the numbers of a
    list are called METRIC_1, METRIC_2, ... That of convergence has the status of the training."""
    rows = []
    for (observable, metric), key in TRAINED.items():
        value = trained.get(key)
        if value is None:
            continue
        status = trained.get("status", "") if key == "converged" else ""
        if isinstance(value, list):
            named = {f"{metric}_{n}": each for n, each in enumerate(value, 1)}
        else:
            named = {metric: value}
        rows += [Row(observable, name, float(each), status=status) for name, each in named.items()]
    return rows


def recovery_rows(compared: Compared, trained: Mapping, truth: Mapping[str, float]) -> list[Row]:
    """Learned over true parameters, and the largest error of the potential of mean force in kB T.

    The latter is max |ln g_model - ln g_true| where g_true > RDF_FLOOR. Null: g = 1.
    """

    def largest(first: np.ndarray, second: np.ndarray) -> float:
        compared = second > RDF_FLOOR
        return float(np.max(np.abs(np.log(first[compared] / second[compared]))))

    ratios = [
        Row("recovery", metric, trained[key] / truth[key])
        for metric, key in RECOVERED.items()
        if key in truth and trained.get(key) is not None
    ]
    r, parts = compared.on_common("rdf_grid", "rdf")
    mean_force = row(compared, "recovery", "pmf_max_kT", largest, parts, null=np.ones_like(r))
    return [*ratios, mean_force]


def reference_rows(scoring: pd.DataFrame, training: pd.DataFrame) -> list[Row]:
    """Rows of the reference itself: D (nm^2/ps) of the part that models are compared with, and of
    the part that they are trained on."""
    return [
        Row("diffusion", "value", *_diffusion(scoring)),
        Row("diffusion", "value of the training part", *_diffusion(training)),
    ]


def summary(rows: Mapping[tuple[str, str, str], list[Row]]) -> pd.DataFrame:
    """The table of all rows, keyed by (system, model, seed), with COLUMNS.

    Where a model has more than one seed, rows of the seed "mean" follow: the mean over the seeds,
    and as its standard error that from their spread, or the root mean square of their own errors
    where that is larger: all seeds share one reference, whose error no spread can show. Its floor
    and null are the means of theirs, and its status has what they say.
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
            numbers = value, np.fmax(spread, own), group["floor"].mean(), group["null"].mean()
            means.append((system, model, "mean", *quantity, *numbers, _said(group)))
    if means:
        table = pd.concat([table, pd.DataFrame(means, columns=COLUMNS)], ignore_index=True)
    return table


def _said(group: pd.DataFrame) -> str:
    """What the seeds' rows say: once where all say the same."""
    if group["status"].nunique() == 1:
        return group["status"].iloc[0]
    said = group[~group["status"].isin(["", "ok"])]
    return "; ".join(
        f"seed {seed}: {status}" for seed, status in zip(said["seed"], said["status"], strict=True)
    )


def _diffusion(table: pd.DataFrame) -> tuple[float, float]:
    return float(table["d_nm2_per_ps"].iloc[0]), float(table["error_nm2_per_ps"].iloc[0])
