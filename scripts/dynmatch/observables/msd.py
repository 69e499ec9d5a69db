"""Mean squared displacement and diffusion constant."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynmatch.errors import DynmatchError
from dynmatch.observables.correlation import origin_counts, site_chunks
from dynmatch.observables.frames import centre_of_mass, lag_times, log_lags
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_larger_error, ratio_samples

RELIABLE = 0.05
"""Relative standard error up to which an MSD is trusted."""


def msd_samples(
    trajectory: SiteTrajectory, longest: float, extra: Sequence[float] = ()
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """MSD over all sites and time origins, centre-of-mass drift removed, grouped in two ways.

    Lags are spaced logarithmically from one frame to `longest` (ps) or half a replica, with the
    `extra` ones (ps) put in. Returns lags (L,), ps, and two sets of samples with the same mean,
    nm^2: by blocks of time origins (R*B, L) and by sites (R*N, L).

    Taking the drift off costs free sites 1/N of their MSD, and an all-atom reference, whose total
    momentum is 0, nothing.

    Neither set is independent throughout. Blocks share what their intervals overlap, which counts
    as the lag nears the length of a block; sites move together, which in a liquid counts most at
    short lags. Each set carries what the other one misses, so the larger error is taken.
    """
    replicas = trajectory.replicas()
    lags = log_lags(replicas, longest, extra)
    sums = [_squared_displacements(replica, lags) for replica in replicas]
    counts = [origin_counts(replica.n_frames, lags) for replica in replicas]
    blocks = ratio_samples(
        np.concatenate([part.sum(axis=0) for part in sums]),
        np.concatenate(counts) * trajectory.n_sites,
    )
    sites = ratio_samples(
        np.concatenate([part.sum(axis=1) for part in sums]),
        np.repeat([count.sum(axis=0) for count in counts], trajectory.n_sites, axis=0),
    )
    return lag_times(lags, trajectory.frame_spacing), blocks, sites


def msd(trajectory: SiteTrajectory, longest: float, extra: Sequence[float] = ()) -> pd.DataFrame:
    """Columns lag_ps, msd_nm2, error_nm2; see `msd_samples`."""
    return msd_table(*msd_samples(trajectory, longest, extra))


def msd_table(lag: np.ndarray, blocks: np.ndarray, sites: np.ndarray) -> pd.DataFrame:
    """Columns lag_ps, msd_nm2, error_nm2, from what `msd_samples` returns."""
    value, error = mean_and_larger_error(blocks, sites)
    return pd.DataFrame({"lag_ps": lag, "msd_nm2": value, "error_nm2": error})


def _squared_displacements(replica: SiteTrajectory, lags: np.ndarray) -> np.ndarray:
    """Sums of |x(t + lag) - x(t)|^2 over origins t in blocks: (N, B, L), nm^2.

    For some seventy lags on a logarithmic scale this is faster than Fourier transforms of every
    block are, and nothing is lost in differences of squares.
    """
    frames = replica.n_frames
    starts = np.array([block.start for block in block_slices(frames)])
    drift = centre_of_mass(replica.positions, replica.masses)
    # a block without origins has sums of 0
    sums = np.zeros((replica.n_sites, len(starts), len(lags)))
    for index, series in site_chunks(replica.positions, drift):
        for number, lag in enumerate(lags):
            moved = series[..., lag:] - series[..., : frames - lag]
            squares = np.einsum("sxf,sxf->sf", moved, moved)
            origins = starts[starts < frames - lag]
            sums[index, : len(origins), number] = np.add.reduceat(squares, origins, axis=-1)
    return sums


def fit_range(length: float) -> tuple[float, float]:
    """Lags (ps) between which D is fitted, for replicas of `length` (ps).

    Up to a tenth of a replica, which leaves ten intervals that do not overlap; from 10 ps, where
    simple liquids diffuse, or half the upper end where replicas are shorter than 200 ps.
    """
    to = length / 10
    return min(10.0, to / 2), to


def diffusion(
    lag: np.ndarray, blocks: np.ndarray, sites: np.ndarray, length: float
) -> pd.DataFrame:
    """D from a least-squares fit of MSD = 6 D t + c, weighted by the inverse squared errors.

    Lags and samples as from `msd_samples`; `length` (ps) of a replica. The fit is linear in the
    MSD, so each sample has its D, and their spread gives the standard error with all correlations
    between lags. No finite-size correction.
    Columns d_nm2_per_ps, error_nm2_per_ps, fit_from_ps, fit_to_ps; one row.

    Raises DynmatchError when fewer than two lags lie in the range of `fit_range`.
    """
    fit_from, fit_to = fit_range(length)
    inside = (lag >= fit_from * (1 - 1e-9)) & (lag <= fit_to * (1 + 1e-9))
    if inside.sum() < 2:
        raise DynmatchError(
            f"replicas of {length:g} ps leave fewer than two lags to fit D from {fit_from:g} to "
            f"{fit_to:g} ps; make them longer or the frame spacing shorter"
        )
    t = lag[inside]
    _, error = mean_and_larger_error(blocks[:, inside], sites[:, inside])
    weight = 1 / error**2 if np.all(error > 0) else np.ones_like(t)
    centred = t - np.average(t, weights=weight)
    fit = weight * centred / np.sum(weight * centred**2) / 6
    value, spread = mean_and_larger_error(blocks[:, inside] @ fit, sites[:, inside] @ fit)
    return pd.DataFrame(
        {
            "d_nm2_per_ps": [value],
            "error_nm2_per_ps": [spread],
            "fit_from_ps": [t[0]],
            "fit_to_ps": [t[-1]],
        }
    )


def longest_reliable_lag(table: pd.DataFrame) -> float:
    """The longest lag (ps) up to which the MSD's relative standard error stays below `RELIABLE`.

    `table` as from `msd`. 0 where there is none.
    """
    good = (table["error_nm2"] <= RELIABLE * table["msd_nm2"]).to_numpy()
    count = len(good) if good.all() else int(np.argmin(good))
    return float(table["lag_ps"].iloc[count - 1]) if count else 0.0


def observe_msd(observed: Observed) -> pd.DataFrame:
    return msd_table(*observed.once(_of_sites))


def observe_diffusion(observed: Observed) -> pd.DataFrame:
    trajectory = observed.trajectory
    shortest = min(replica.n_frames for replica in trajectory.replicas())
    return diffusion(*observed.once(_of_sites), shortest * trajectory.frame_spacing)


def samples_of_msd(observed: Observed) -> dict[str, np.ndarray]:
    """`msd` (R*B, L) and `msd_by_site` (R*N, L), nm^2, at the lags `msd_grid` (L,), ps."""
    lag, blocks, sites = observed.once(_of_sites)
    return {"msd_grid": lag, "msd": blocks, "msd_by_site": sites}


def _of_sites(observed: Observed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return msd_samples(observed.trajectory, observed.settings.msd_length, observed.lags)
