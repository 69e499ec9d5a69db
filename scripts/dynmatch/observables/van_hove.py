"""Self part of the van Hove function."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynmatch.errors import DynmatchError
from dynmatch.observables.frames import centre_of_mass, displacement_lengths, steps
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import mean_and_error

BIN = 0.01
"""nm"""


def van_hove(
    trajectory: SiteTrajectory, lags: Sequence[float], origin_spacing: float
) -> pd.DataFrame:
    """Density 4 pi r^2 G_s(r, t) of the distance r a site moves in t; integrates to 1 over r.

    Time origins are `origin_spacing` (ps) apart, centre-of-mass drift is removed; a
    block of time origins in a replica is a sample. Every lag (ps) has its bins from 0 to the
    longest distance moved in it.
    Columns lag_ps, r_nm, density_per_nm, error_per_nm.

    Raises DynmatchError when a lag is no multiple of the frame spacing or longer than a replica.
    """
    replicas = trajectory.replicas()
    spacing = trajectory.frame_spacing
    shortest = min(replica.n_frames for replica in replicas)
    stride = steps(origin_spacing, spacing, "structure_spacing")
    drifts = [centre_of_mass(replica.positions, replica.masses) for replica in replicas]
    tables = []
    for lag in lags:
        step = steps(lag, spacing, "van_hove_lags")
        if step >= shortest:
            raise DynmatchError(
                f"van_hove_lags: {lag:g} ps is not shorter than a replica, "
                f"{(shortest - 1) * spacing:g} ps"
            )
        counts: dict[tuple, np.ndarray] = {}
        for number, (replica, drift) in enumerate(zip(replicas, drifts, strict=True)):
            for block, moved in displacement_lengths(replica, drift, step, stride):
                seen = np.bincount((moved / BIN).astype(int).ravel())
                counts[number, block] = _sum(counts.get((number, block), np.zeros(0)), seen)
        bins = max(map(len, counts.values()))
        samples = np.array([_sum(np.zeros(bins), count) for count in counts.values()])
        value, error = mean_and_error(samples / (samples.sum(axis=1, keepdims=True) * BIN))
        tables.append(
            pd.DataFrame(
                {
                    "lag_ps": float(lag),
                    "r_nm": (np.arange(bins) + 0.5) * BIN,
                    "density_per_nm": value,
                    "error_per_nm": error,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _sum(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of two histograms whose bins begin at 0."""
    total = np.zeros(max(len(one), len(other)))
    total[: len(one)] += one
    total[: len(other)] += other
    return total


def observe_van_hove(observed: Observed) -> pd.DataFrame:
    settings = observed.settings
    return van_hove(observed.trajectory, settings.van_hove_lags, settings.structure_spacing)
