"""How close the models come to the reference: one row for each system, model, seed and metric.

Every metric is a function of mean curves; its standard error is a delete-one jackknife over the
samples (time blocks and replicas; for the MSD also sites) behind the curves of both the model and
the reference.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dynmatch.observables.msd import longest_reliable_lag, msd_table
from dynmatch.statistics import jackknife_error, mean_and_error

COLUMNS = ["system", "model", "seed", "observable", "metric", "value", "error"]

TRAINED = {
    ("diffusion0", "value"): "d0_nm2_per_ps",
    ("friction_time", "value"): "gamma_over_alpha",
    ("mass_time", "value"): "mass_over_alpha2",
    ("training", "minutes"): "minutes",
    ("training", "converged"): "converged",
}
"""Rows taken from model.yaml as they are, by observable and metric."""

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


def mean_absolute(first: np.ndarray, second: np.ndarray) -> float:
    """Mean |first - second| of two curves on one grid."""
    return float(np.mean(np.abs(first - second)))


def rdf_mae(model: Samples, reference: Samples, cutoff: float) -> Row:
    """Mean |g_cg - g_aa| over r from 0 to `cutoff` (nm)."""
    inside = reference["rdf_grid"] < cutoff
    samples = [model["rdf"][:, : inside.sum()]], [reference["rdf"][:, inside]]
    return _row("rdf", "mae", mean_absolute, *samples)


def rdf_mae_by_type(model: Samples, reference: Samples, cutoff: float) -> list[Row]:
    """The same for every pair of types, where there are several."""
    inside = (reference["rdf_grid"] < cutoff).sum()
    return [
        _row(
            "rdf",
            f"mae {name.removeprefix('rdf ')}",
            mean_absolute,
            [model[name][:, :inside]],
            [samples[:, :inside]],
        )
        for name, samples in reference.items()
        if name.startswith("rdf ")
    ]


def adf_mae(model: Samples, reference: Samples) -> Row:
    """Mean absolute difference of the densities in cos(theta)."""
    return _row("adf", "mae", mean_absolute, [model["adf"]], [reference["adf"]])


def msd_log_rmse(model: Samples, reference: Samples, first_lag: float) -> Row:
    """Root mean square of ln(MSD_cg / MSD_aa) over the reference's logarithmic lags.

    From `first_lag` (ps) to the longest one with reliable reference statistics; the model's MSD is
    interpolated linearly in the logarithms. NaN where no lag is reliable.
    """
    lags, model_lags = reference["msd_grid"], model["msd_grid"]
    last = longest_reliable_lag(msd_table(lags, reference["msd"], reference["msd_by_site"]))
    inside = (lags >= first_lag * (1 - 1e-9)) & (lags <= min(last, model_lags[-1]) * (1 + 1e-9))
    if not inside.any():
        return "msd", "log_rmse", np.nan, np.nan
    at, known = np.log(lags[inside]), np.log(model_lags)

    def log_rmse(model_msd: np.ndarray, reference_msd: np.ndarray) -> float:
        difference = np.interp(at, known, np.log(model_msd)) - np.log(reference_msd)
        return float(np.sqrt(np.mean(difference**2)))

    ours = [model["msd"], model["msd_by_site"]]
    theirs = [reference["msd"][:, inside], reference["msd_by_site"][:, inside]]
    return _row("msd", "log_rmse", log_rmse, ours, theirs)


def vacf_mae(model: Samples, reference: Samples) -> Row:
    """Mean absolute difference of the normalised VACFs, at the lags of the coarser one."""
    grids = model["vacf_grid"], reference["vacf_grid"]
    at = max(grids, key=lambda grid: grid[1])
    at = at[at <= min(grid[-1] for grid in grids) + 1e-9]

    def mae(model_vacf: np.ndarray, reference_vacf: np.ndarray) -> float:
        return mean_absolute(
            np.interp(at, grids[0], model_vacf), np.interp(at, grids[1], reference_vacf)
        )

    return _row("vacf", "mae", mae, [model["vacf"]], [reference["vacf"]])


def diffusion_rows(model: pd.DataFrame, reference: pd.DataFrame) -> list[Row]:
    """D_cg / D_aa, its relative error the root of the summed squares, and D_cg (nm^2/ps)."""
    value, error = _diffusion(model)
    expected, uncertainty = _diffusion(reference)
    ratio = value / expected
    spread = ratio * np.hypot(error / value, uncertainty / expected)
    return [("diffusion", "ratio", ratio, spread), ("diffusion", "value", value, error)]


def model_rows(
    model: Samples,
    reference: Samples,
    diffusion: tuple[pd.DataFrame, pd.DataFrame],
    trained: Mapping,
    cutoff: float,
    first_lag: float,
) -> list[Row]:
    """All rows of one model and seed: (observable, metric, value, error).

    model and reference as the samples of `observe`, `diffusion` their tables of D in that order,
    `trained` the content of model.yaml, `cutoff` (nm) of the pair term and `first_lag` (ps) the
    shortest lag of the training. The VACF is compared where both have velocities.
    """
    rows = [
        rdf_mae(model, reference, cutoff),
        *rdf_mae_by_type(model, reference, cutoff),
        adf_mae(model, reference),
        msd_log_rmse(model, reference, first_lag),
        *diffusion_rows(*diffusion),
    ]
    if model["vacf"].size and reference["vacf"].size:
        rows.append(vacf_mae(model, reference))
    return rows + trained_rows(trained)


def trained_rows(trained: Mapping) -> list[Row]:
    """Rows of TRAINED, taken from `trained`, the content of model.yaml."""
    return [
        (observable, metric, float(trained[key]), np.nan)
        for (observable, metric), key in TRAINED.items()
        if trained.get(key) is not None
    ]


def recovery_rows(
    model: Samples, reference: Samples, trained: Mapping, truth: Mapping[str, float]
) -> list[Row]:
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
    return [*ratios, _row("recovery", "pmf_max_kT", largest, [model["rdf"]], [reference["rdf"]])]


def reference_rows(diffusion: pd.DataFrame) -> list[Row]:
    """Rows of the reference itself: D (nm^2/ps)."""
    return [("diffusion", "value", *_diffusion(diffusion))]


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


def _row(observable: str, metric: str, function, *groups: list[np.ndarray]) -> Row:
    value = function(*(groupings[0].mean(axis=0) for groupings in groups))
    return observable, metric, value, jackknife_error(function, *groups)


def _diffusion(table: pd.DataFrame) -> tuple[float, float]:
    return float(table["d_nm2_per_ps"].iloc[0]), float(table["error_nm2_per_ps"].iloc[0])
