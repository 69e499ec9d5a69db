"""Motion of the centre of mass of a single molecule, which its solvent drives.

It is what `msd` takes off as a drift, and for a molecule by itself the only diffusion there is.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_error

LAGS = (10.0, 20.0)
"""ps, between which the MSD is taken to be straight: velocities are forgotten within 1/friction."""


def centre_msd_samples(trajectory: SiteTrajectory, lags: Sequence[float]) -> np.ndarray:
    """Mean squared displacement, nm^2, of the centre at `lags` (L,), ps: (S, L), by time blocks."""
    steps = np.rint(np.asarray(lags) / trajectory.frame_spacing).astype(int)
    samples = []
    for replica in trajectory.replicas():
        centre = np.average(replica.positions.astype(np.float64), axis=1, weights=replica.masses)
        squared = [np.sum((centre[step:] - centre[:-step]) ** 2, -1) for step in steps]
        origins = min(map(len, squared))
        samples += [[series[block].mean() for series in squared] for block in block_slices(origins)]
    return np.array(samples)


def centre_msd(trajectory: SiteTrajectory, longest: float) -> pd.DataFrame:
    """Columns lag_ps, msd_nm2, error_nm2 at some thirty logarithmic lags up to `longest`, ps."""
    spacing = trajectory.frame_spacing
    steps = np.unique(np.geomspace(1, max(1, round(longest / spacing)), 30).round().astype(int))
    value, error = mean_and_error(centre_msd_samples(trajectory, steps * spacing))
    return pd.DataFrame({"lag_ps": steps * spacing, "msd_nm2": value, "error_nm2": error})


def centre_diffusion(trajectory: SiteTrajectory) -> pd.DataFrame:
    """Columns d_nm2_per_ps, error_nm2_per_ps: the slope of the MSD over six, between LAGS."""
    msd = centre_msd_samples(trajectory, LAGS)
    value, error = mean_and_error((msd[:, 1] - msd[:, 0]) / (6 * (LAGS[1] - LAGS[0])))
    return pd.DataFrame({"d_nm2_per_ps": [float(value)], "error_nm2_per_ps": [float(error)]})


def observe_msd(observed: Observed) -> pd.DataFrame:
    return centre_msd(observed.trajectory, observed.settings.msd_length)


def observe_diffusion(observed: Observed) -> pd.DataFrame:
    return centre_diffusion(observed.trajectory)
