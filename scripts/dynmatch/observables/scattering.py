"""Self-intermediate scattering function."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from dynmatch.observables.frames import (
    centre_of_mass,
    displacement_lengths,
    lag_times,
    log_lags,
    steps,
)
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import BLOCKS, mean_and_error


def scattering(
    trajectory: SiteTrajectory, wave_numbers: Sequence[float], longest: float, origin_spacing: float
) -> pd.DataFrame:
    """F_s(k, t) = <sin(k r) / (k r)>, r the distance a site moves in t: isotropic in k.

    wave_numbers in 1/nm; lags spaced logarithmically from one frame to `longest` (ps) or half a
    replica; time origins `origin_spacing` (ps) apart. Centre-of-mass drift is removed; a
    block of time origins in a replica is a sample. Columns k_per_nm, lag_ps, fs, error.
    """
    replicas = trajectory.replicas()
    spacing = trajectory.frame_spacing
    stride = steps(origin_spacing, spacing, "structure_spacing")
    lags = log_lags(replicas, longest)
    drifts = [centre_of_mass(replica.positions, replica.masses) for replica in replicas]
    value = np.empty((len(wave_numbers), len(lags)))
    error = np.empty_like(value)
    for at, lag in enumerate(lags):
        samples = [
            _block_means(displacement_lengths(replica, drift, lag, stride), wave_numbers)
            for replica, drift in zip(replicas, drifts, strict=True)
        ]
        value[:, at], error[:, at] = mean_and_error(np.concatenate(samples))
    return pd.DataFrame(
        {
            "k_per_nm": np.repeat(np.asarray(wave_numbers, np.float64), len(lags)),
            "lag_ps": np.tile(lag_times(lags, spacing), len(wave_numbers)),
            "fs": value.ravel(),
            "error": error.ravel(),
        }
    )


def _block_means(
    moved: Iterable[tuple[int, np.ndarray]], wave_numbers: Sequence[float]
) -> np.ndarray:
    """<sin(k r) / (k r)> of each time block: (B, K)."""
    sums, counts = np.zeros((BLOCKS, len(wave_numbers))), np.zeros(BLOCKS)
    for block, r in moved:
        # np.sinc(x) is sin(pi x) / (pi x)
        sums[block] += [np.sinc(k / np.pi * r).sum() for k in wave_numbers]
        counts[block] += r.size
    filled = counts > 0
    return sums[filled] / counts[filled, None]


def observe_scattering(observed: Observed) -> pd.DataFrame:
    settings = observed.settings
    return scattering(
        observed.trajectory,
        settings.scattering_k,
        settings.msd_length,
        settings.structure_spacing,
    )
