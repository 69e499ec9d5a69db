"""Self-intermediate scattering function."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynmatch.observables.frames import (
    centre_of_mass,
    displacement_lengths,
    lag_times,
    log_lags,
    steps,
)
from dynmatch.statistics import block_means, mean_and_error
from dynmatch.trajectory import SiteTrajectory


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
        moved = [
            displacement_lengths(replica, drift, lag, stride)
            for replica, drift in zip(replicas, drifts, strict=True)
        ]
        for number, k in enumerate(wave_numbers):
            # np.sinc(x) is sin(pi x) / (pi x)
            samples = [block_means(np.sinc(k / np.pi * part).mean(axis=1)) for part in moved]
            value[number, at], error[number, at] = mean_and_error(np.concatenate(samples))
    return pd.DataFrame(
        {
            "k_per_nm": np.repeat(np.asarray(wave_numbers, np.float64), len(lags)),
            "lag_ps": np.tile(lag_times(lags, spacing), len(wave_numbers)),
            "fs": value.ravel(),
            "error": error.ravel(),
        }
    )
