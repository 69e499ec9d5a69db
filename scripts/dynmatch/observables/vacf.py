"""Velocity autocorrelation function."""

import numpy as np
import pandas as pd

from dynmatch.observables.correlation import correlation_sums, origin_counts, site_chunks
from dynmatch.observables.frames import centre_of_mass, lag_times
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import mean_and_error, ratio_samples


def velocity_products(trajectory: SiteTrajectory, length: float) -> tuple[np.ndarray, np.ndarray]:
    """<v(0).v(t)>, nm^2/ps^2, over all sites and time origins, centre-of-mass velocity taken off.

    Lags run from 0 to `length` (ps) or half a replica, frame by frame. Returns lags (L,), ps, and
    samples (R*B, L), one per block of time origins and replica. Both are empty where the trajectory
    has no velocities.
    """
    if trajectory.velocities is None:
        return np.empty(0), np.empty((0, 0))
    replicas = trajectory.replicas()
    spacing = trajectory.frame_spacing
    last = min(round(length / spacing), *(replica.n_frames // 2 for replica in replicas))
    lags = np.arange(last + 1)
    sums = []
    for replica in replicas:
        drift = centre_of_mass(replica.velocities, replica.masses)
        chunks = site_chunks(replica.velocities, drift)
        sums.append(sum(correlation_sums(series, lags).sum(axis=0) for _, series in chunks))
    counts = [origin_counts(replica.n_frames, lags) for replica in replicas]
    products = ratio_samples(np.concatenate(sums), np.concatenate(counts) * trajectory.n_sites)
    return lag_times(lags, spacing), products


def vacf_samples(trajectory: SiteTrajectory, length: float) -> tuple[np.ndarray, np.ndarray]:
    """<v(0).v(t)> / <v^2>: lags and samples as from `velocity_products`, with the mean that is the
    ratio of means."""
    return _normalised(*velocity_products(trajectory, length))


def _normalised(lag: np.ndarray, products: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return lag, ratio_samples(products, products[:, :1]) if len(lag) else products


def vacf(trajectory: SiteTrajectory, length: float) -> pd.DataFrame:
    """Columns lag_ps, vacf, error; see `vacf_samples`."""
    return vacf_table(*vacf_samples(trajectory, length))


def vacf_table(lag: np.ndarray, samples: np.ndarray) -> pd.DataFrame:
    """Columns lag_ps, vacf, error, from what `vacf_samples` returns."""
    value, error = mean_and_error(samples) if len(lag) else (lag, lag)
    return pd.DataFrame({"lag_ps": lag, "vacf": value, "error": error})


def observe_vacf(observed: Observed) -> pd.DataFrame:
    return vacf_table(*_normalised(*observed.once(_of_velocities)))


def samples_of_vacf(observed: Observed) -> dict[str, np.ndarray]:
    """`vacf` (B, L) at the lags `vacf_grid` (L,), ps, and `velocity_variance` (B,), nm^2/ps^2, the
    mean of v^2; all empty without velocities."""
    lag, products = observed.once(_of_velocities)
    lag, samples = _normalised(lag, products)
    return {"vacf_grid": lag, "vacf": samples, "velocity_variance": products[:, :1].ravel()}


def _of_velocities(observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    return velocity_products(observed.trajectory, observed.settings.vacf_length)
