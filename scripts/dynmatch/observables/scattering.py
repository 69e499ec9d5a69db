"""Self-intermediate scattering function."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from dynmatch.observables.frames import (
    centre_of_mass,
    displacement_lengths,
    lag_times,
    log_lags,
    origins,
    steps,
)
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import BLOCKS, mean_and_error


def scattering_samples(
    trajectory: SiteTrajectory, wave_numbers: Sequence[float], longest: float, origin_spacing: float
) -> tuple[np.ndarray, np.ndarray]:
    """F_s(k, t) = <sin(k r) / (k r)>, r the distance a site moves in t: isotropic in k.

    wave_numbers in 1/nm; lags spaced logarithmically from one frame to `longest` (ps) or half a
    replica; time origins `origin_spacing` (ps) apart. Centre-of-mass drift is removed; a
    block of time origins in a replica is a sample. Returns lags (L,), ps, and samples (B, K, L).
    """
    replicas = trajectory.replicas()
    spacing = trajectory.frame_spacing
    stride = steps(origin_spacing, spacing, "structure_spacing")
    lags = log_lags(replicas, longest)
    drifts = [centre_of_mass(replica.positions, replica.masses) for replica in replicas]
    # every lag has as many blocks as the longest one has origins for
    blocks = [min(BLOCKS, len(origins(replica, lags[-1], stride))) for replica in replicas]
    samples = np.empty((sum(blocks), len(wave_numbers), len(lags)))
    for at, lag in enumerate(lags):
        of_lag = [
            _block_means(
                displacement_lengths(replica, drift, lag, stride, count), wave_numbers, count
            )
            for replica, drift, count in zip(replicas, drifts, blocks, strict=True)
        ]
        samples[:, :, at] = np.concatenate(of_lag)
    return lag_times(lags, spacing), samples


def scattering(
    trajectory: SiteTrajectory, wave_numbers: Sequence[float], longest: float, origin_spacing: float
) -> pd.DataFrame:
    """Columns k_per_nm, lag_ps, fs, error; see `scattering_samples`."""
    samples = scattering_samples(trajectory, wave_numbers, longest, origin_spacing)
    return scattering_table(wave_numbers, *samples)


def scattering_table(
    wave_numbers: Sequence[float], lag: np.ndarray, samples: np.ndarray
) -> pd.DataFrame:
    """Columns k_per_nm, lag_ps, fs, error, from what `scattering_samples` returns."""
    value, error = mean_and_error(samples)
    return pd.DataFrame(
        {
            "k_per_nm": np.repeat(np.asarray(wave_numbers, np.float64), len(lag)),
            "lag_ps": np.tile(lag, len(wave_numbers)),
            "fs": value.ravel(),
            "error": error.ravel(),
        }
    )


def _block_means(
    moved: Iterable[tuple[int, np.ndarray]], wave_numbers: Sequence[float], blocks: int
) -> np.ndarray:
    """<sin(k r) / (k r)> of each of the time blocks: (blocks, K)."""
    sums, counts = np.zeros((blocks, len(wave_numbers))), np.zeros(blocks)
    for block, r in moved:
        # np.sinc(x) is sin(pi x) / (pi x)
        sums[block] += [np.sinc(k / np.pi * r).sum() for k in wave_numbers]
        counts[block] += r.size
    return sums / counts[:, None]


def observe_scattering(observed: Observed) -> pd.DataFrame:
    return scattering_table(observed.settings.scattering_k, *observed.once(_of_sites))


def samples_of_scattering(observed: Observed) -> dict[str, np.ndarray]:
    """`scattering k` (B, L) of each wave number k, 1/nm, at the lags `scattering_grid` (L,), ps."""
    lag, samples = observed.once(_of_sites)
    named = {
        f"scattering {k:g}": samples[:, at] for at, k in enumerate(observed.settings.scattering_k)
    }
    return {"scattering_grid": lag} | named


def _of_sites(observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    settings = observed.settings
    return scattering_samples(
        observed.trajectory,
        settings.scattering_k,
        settings.msd_length,
        settings.structure_spacing,
    )
