"""Survival of neighbours in the first shell."""

import numpy as np
import pandas as pd

from dynmatch.observables.frames import lag_times, log_lags, origins, pieces, steps
from dynmatch.observables.neighbours import check_cutoff, pairs_within
from dynmatch.observables.observed import Observed
from dynmatch.sites.box import minimum_image
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_error, ratio_samples

CHUNK = 100_000
"""Sites at time origins whose pairs are held at once."""


def survival(
    trajectory: SiteTrajectory, shell_cutoff: float, origin_spacing: float
) -> pd.DataFrame:
    """Intermittent survival C(t) = <sum h_ij(0) h_ij(t)> / <sum h_ij(0)> over pairs of sites.

    h is 1 while a pair is closer than `shell_cutoff` (nm); pairs that part and meet again count, so
    C falls to the chance of being neighbours, not to 0. Lags are spaced logarithmically from one
    frame to a tenth of a replica, time origins `origin_spacing` (ps) apart; a time block of origins
    in a replica is a sample. Columns lag_ps, survival, error.
    A. Luzar and D. Chandler, Phys. Rev. Lett. 76, 928 (1996), doi:10.1103/PhysRevLett.76.928.

    Raises DynmatchError when the cutoff exceeds half the box.
    """
    check_cutoff(shell_cutoff, trajectory.box, "shell_cutoff")
    replicas = trajectory.replicas()
    stride = steps(origin_spacing, trajectory.frame_spacing, "structure_spacing")
    shortest = min(replica.n_frames for replica in replicas)
    lags = log_lags(replicas, 0.1 * shortest * trajectory.frame_spacing)
    together, at_start = [], []
    for replica in replicas:
        # the same origins at every lag, so that every ratio has the same denominator
        all_origins = origins(replica, int(lags[-1]), stride)
        for block in block_slices(len(all_origins)):
            still, before = np.zeros(len(lags)), 0
            for piece in pieces(block, max(1, CHUNK // replica.n_sites)):
                start = all_origins[piece]
                pairs = pairs_within(replica.positions[start], replica.box, shell_cutoff)
                still += [_close(replica, start + lag, pairs, shell_cutoff).sum() for lag in lags]
                before += len(pairs[0])
            together.append(still)
            at_start.append(before)
    samples = ratio_samples(np.array(together), np.array(at_start)[:, None])
    value, error = mean_and_error(samples)
    lag_ps = lag_times(lags, trajectory.frame_spacing)
    return pd.DataFrame({"lag_ps": lag_ps, "survival": value, "error": error})


def _close(
    replica: SiteTrajectory,
    frames: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray],
    cutoff: float,
) -> np.ndarray:
    """Whether each pair (index into `frames`, i, j) is closer than `cutoff` (nm): (P,) of bool."""
    positions = replica.positions[frames]
    index, i, j = pairs
    vectors = minimum_image(positions[index, j] - positions[index, i], replica.box)
    return np.einsum("px,px->p", vectors, vectors) < cutoff**2


def observe_survival(observed: Observed) -> pd.DataFrame:
    settings = observed.settings
    return survival(observed.trajectory, settings.shell_cutoff, settings.structure_spacing)
