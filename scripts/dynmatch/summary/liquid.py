"""How close the models of a liquid come to its reference."""

import numpy as np

from dynmatch.observables.msd import longest_reliable_lag, msd_table
from dynmatch.summary.rows import Compared, Row, row


def mean_absolute(first: np.ndarray, second: np.ndarray) -> float:
    """Mean |first - second| of two curves on one grid."""
    return float(np.mean(np.abs(first - second)))


def rdf_rows(compared: Compared) -> list[Row]:
    """Mean |g_cg - g_aa| over r from 0 to the cutoff of the pair term, of all pairs of sites and,
    where there are several, of each pair of types."""
    model, reference = compared.model, compared.reference
    inside = (reference["rdf_grid"] < compared.settings["potential.cutoff"]).sum()
    return [
        row(
            "rdf",
            f"mae {name.removeprefix('rdf ')}" if name != "rdf" else "mae",
            mean_absolute,
            [model[name][:, :inside]],
            [reference[name][:, :inside]],
        )
        for name in ["rdf", *(name for name in reference if name.startswith("rdf "))]
    ]


def adf_rows(compared: Compared) -> list[Row]:
    """Mean absolute difference of the densities in cos(theta)."""
    samples = [compared.model["adf"]], [compared.reference["adf"]]
    return [row("adf", "mae", mean_absolute, *samples)]


def msd_rows(compared: Compared) -> list[Row]:
    """Root mean square of ln(MSD_cg / MSD_aa) over the reference's logarithmic lags.

    From the shortest lag of the training to the longest one with reliable reference statistics; the
    model's MSD is interpolated linearly in the logarithms. NaN where no lag is reliable.
    """
    model, reference = compared.model, compared.reference
    first_lag = min(compared.settings["training.lags"])
    lags, model_lags = reference["msd_grid"], model["msd_grid"]
    last = longest_reliable_lag(msd_table(lags, reference["msd"], reference["msd_by_site"]))
    inside = (lags >= first_lag * (1 - 1e-9)) & (lags <= min(last, model_lags[-1]) * (1 + 1e-9))
    if not inside.any():
        return [("msd", "log_rmse", np.nan, np.nan)]
    at, known = np.log(lags[inside]), np.log(model_lags)

    def log_rmse(model_msd: np.ndarray, reference_msd: np.ndarray) -> float:
        difference = np.interp(at, known, np.log(model_msd)) - np.log(reference_msd)
        return float(np.sqrt(np.mean(difference**2)))

    ours = [model["msd"], model["msd_by_site"]]
    theirs = [reference["msd"][:, inside], reference["msd_by_site"][:, inside]]
    return [row("msd", "log_rmse", log_rmse, ours, theirs)]


def vacf_rows(compared: Compared) -> list[Row]:
    """Mean absolute difference of the normalised VACFs, at the lags of the coarser one.

    None where model or reference have no velocities.
    """
    model, reference = compared.model, compared.reference
    if not (model["vacf"].size and reference["vacf"].size):
        return []
    grids = model["vacf_grid"], reference["vacf_grid"]
    at = max(grids, key=lambda grid: grid[1])
    at = at[at <= min(grid[-1] for grid in grids) + 1e-9]

    def mae(model_vacf: np.ndarray, reference_vacf: np.ndarray) -> float:
        return mean_absolute(
            np.interp(at, grids[0], model_vacf), np.interp(at, grids[1], reference_vacf)
        )

    return [row("vacf", "mae", mae, [model["vacf"]], [reference["vacf"]])]
