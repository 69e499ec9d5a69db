"""How close the models of a liquid come to its reference.

Two null models: sites without structure (g = 1, all angles and distances alike), and one free
particle with the reference's velocity variance and diffusion constant: it knows neither a cage nor
a memory.
"""

import numpy as np

from dynmatch.observables.msd import RELIABLE, longest_reliable_lag, msd_table
from dynmatch.summary.rows import Compared, Groupings, Row, row

BANDS = ((0.02, 1.0), (1.0, 10.0), (10.0, 200.0), (200.0, np.inf))
"""Lags, ps, between which MSDs are compared."""
LARGEST_BAND = (0.02, 200.0)
"""Lags, ps, between which the largest error of an MSD is looked for."""
TETRAHEDRAL_FROM = 0.0
"""Tetrahedral order of random directions, on average; above it densities are compared."""
SCATTERING_LEAST = 0.01
"""F_s are compared where the reference's is above this."""
VACF_LENGTH, VACF_LONGER = 0.5, 1.0
"""ps to which VACFs are compared."""
TOLERANCE = 1e-6
"""ps, within which two times are the same."""


def mean_absolute(first: np.ndarray, second: np.ndarray) -> float:
    """Mean |first - second| of two curves on one grid."""
    return float(np.mean(np.abs(first - second)))


def largest(first: np.ndarray, second: np.ndarray) -> float:
    """Largest |first - second|."""
    return float(np.max(np.abs(first - second)))


def log_rmse(first: np.ndarray, second: np.ndarray) -> float:
    """Root mean square of ln(first / second)."""
    return float(np.sqrt(np.mean(np.log(first / second) ** 2)))


def log_largest(first: np.ndarray, second: np.ndarray) -> float:
    """Largest |ln(first / second)|."""
    return float(np.max(np.abs(np.log(first / second))))


def ratio(first: np.ndarray, second: np.ndarray) -> float:
    return float(first / second)


def rdf_rows(compared: Compared) -> list[Row]:
    """Mean |g_cg - g_aa| over r from 0 to the cutoff of the pair term, of all pairs of sites and,
    where there are several, of each pair of types. Null: g = 1."""
    names = ["rdf", *(name for name in compared.reference if name.startswith("rdf "))]
    r, parts = compared.on_common("rdf_grid", *names)
    inside = r < compared.settings["potential.cutoff"]
    rows = []
    for number, name in enumerate(names):
        metric = f"mae {name.removeprefix('rdf ')}" if name != "rdf" else "mae"
        own = [[part[number][..., inside]] for part in parts]
        rows.append(row(compared, "rdf", metric, mean_absolute, own, null=np.ones(inside.sum())))
    return rows


def adf_rows(compared: Compared) -> list[Row]:
    """Mean absolute difference of the densities in cos(theta). Null: all cosines alike."""
    cosines, parts = compared.on_common("adf_grid", "adf")
    uniform = np.full(len(cosines), 0.5)
    return [row(compared, "adf", "mae", mean_absolute, parts, null=uniform)]


def tetrahedral_rows(compared: Compared) -> list[Row]:
    """Mean absolute difference of the densities in q from TETRAHEDRAL_FROM to 1."""
    q, parts = compared.on_common("tetrahedral_grid", "tetrahedral")
    parts = _at(parts, q > TETRAHEDRAL_FROM)
    return [row(compared, "tetrahedral", "mae", mean_absolute, parts)]


def msd_rows(compared: Compared) -> list[Row]:
    """Root mean square of ln(MSD_cg / MSD_aa) over the common lags in each of BANDS, and the
    largest |ln(MSD_cg / MSD_aa)| in LARGEST_BAND.

    Up to the longest lag with reliable statistics of the reference; the status says where that cuts
    a band short. Null: the free particle.
    """
    reference = compared.reference
    table = msd_table(reference["msd_grid"], reference["msd"], reference["msd_by_site"])
    reliable = longest_reliable_lag(table)
    lags, parts = compared.on_common("msd_grid", "msd", "msd_by_site")
    free = free_msd(compared, lags)
    metrics = [(f"log_rmse {band_name(*band)}", log_rmse, band) for band in BANDS]
    metrics += [(f"log_largest {band_name(*LARGEST_BAND)}", log_largest, LARGEST_BAND)]
    rows = []
    for metric, function, (low, high) in metrics:
        inside = (lags > low - TOLERANCE) & (lags < high + TOLERANCE)
        used = inside & (lags < reliable + TOLERANCE)
        status = _cut_short(lags, inside, used)
        if not used.any():
            rows.append(Row("msd", metric, np.nan, status=status))
            continue
        own = _at(parts, used)
        rows.append(row(compared, "msd", metric, function, own, null=free[used], status=status))
    return rows


def band_name(low: float, high: float) -> str:
    return f"{low:g}-{high:g} ps" if np.isfinite(high) else f"beyond {low:g} ps"


def _cut_short(lags: np.ndarray, inside: np.ndarray, used: np.ndarray) -> str:
    """Why a band of lags is not compared, or not to its end."""
    if not inside.any():
        return "no lag in it that the model and both parts of the reference have"
    if used.all() or used.sum() == inside.sum():
        return ""
    why = f"the reference's error exceeds {RELIABLE:.0%}"
    return f"to {lags[used].max():g} ps, beyond which {why}" if used.any() else why


def free_msd(compared: Compared, lags: np.ndarray) -> np.ndarray:
    """MSD, nm^2, of a free particle with the reference's velocity variance and D at `lags`, ps.

    6 D (t - tau (1 - exp(-t/tau))), tau = 3 D / <v^2>: ballistic, then diffusive. Without
    velocities 6 D t.
    """
    d = float(compared.diffusion[1]["d_nm2_per_ps"].iloc[0])
    variance = compared.reference["velocity_variance"]
    if not variance.size:
        return 6 * d * lags
    tau = 3 * d / variance.mean()
    return 6 * d * (lags + tau * np.expm1(-lags / tau))


def vacf_rows(compared: Compared) -> list[Row]:
    """Mean and largest absolute difference of the normalised VACFs at the common lags to
    VACF_LENGTH, the mean one also to VACF_LONGER, all without lag 0; and the velocity variance
    over the reference's.

    None where the model has no velocities. Null: no memory, 0 after lag 0.
    """
    if not compared.model["vacf"].size:
        return []
    if not (compared.reference["vacf"].size and compared.training["vacf"].size):
        return [Row("vacf", "mae", np.nan, status="the reference has no velocities")]
    lags, parts = compared.on_common("vacf_grid", "vacf")
    rows = []
    for metric, function, longest in (
        ("mae", mean_absolute, VACF_LENGTH),
        ("largest", largest, VACF_LENGTH),
        (f"mae to {VACF_LONGER:g} ps", mean_absolute, VACF_LONGER),
    ):
        inside = (lags > TOLERANCE) & (lags < longest + TOLERANCE)
        if not inside.any():
            status = "no lag that the model and both parts of the reference have"
            rows.append(Row("vacf", metric, np.nan, status=status))
            continue
        shorter = lags.max() < longest - TOLERANCE
        status = f"to {lags.max():g} ps, the longest common lag" if shorter else ""
        null, own = np.zeros(inside.sum()), _at(parts, inside)
        rows.append(row(compared, "vacf", metric, function, own, null=null, status=status))
    variance = compared.samples("velocity_variance")
    return [*rows, row(compared, "velocity_variance", "ratio", ratio, variance, target=1.0)]


def scattering_rows(compared: Compared) -> list[Row]:
    """Mean absolute difference of F_s at the common lags where the reference's is above
    SCATTERING_LEAST, of all wave numbers together and of each one.

    Null: the free particle, whose displacements are Gaussian.
    """
    names = [name for name in compared.reference if name.startswith("scattering ")]
    lags, parts = compared.on_common("scattering_grid", *names)
    free = free_msd(compared, lags)
    of_each, nulls, inside = [], [], []
    for number, name in enumerate(names):
        k = float(name.removeprefix("scattering "))
        of_each.append([[part[number]] for part in parts])
        nulls.append(np.exp(-(k**2) * free / 6))
        inside.append(parts[1][number].mean(axis=0) > SCATTERING_LEAST)
    together = [
        [np.concatenate([own[part][0] for own in of_each], axis=-1)] for part in range(len(parts))
    ]
    metrics = [("mae", together, np.concatenate(nulls), np.concatenate(inside))]
    metrics += [
        (f"mae k {name.removeprefix('scattering ')}", own, null, where)
        for name, own, null, where in zip(names, of_each, nulls, inside, strict=True)
    ]
    return [
        row(compared, "scattering", metric, mean_absolute, _at(own, where), null=null[where])
        if where.any()
        else Row("scattering", metric, np.nan, status="no common lag of a F_s that is not 0 yet")
        for metric, own, null, where in metrics
    ]


def _at(parts: list[Groupings], inside: np.ndarray) -> list[Groupings]:
    return [[samples[..., inside] for samples in groupings] for groupings in parts]
