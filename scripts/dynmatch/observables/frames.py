"""Which frames an observable uses: thinning, lags, and the drift of the centre of mass."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import BLOCKS, block_slices

LAGS_PER_DECADE = 20
CHUNK = 200_000
"""Displacements held at once."""


def steps(time: float, spacing: float, key: str) -> int:
    """`time` in units of the frame spacing (both ps).

    Raises DynmatchError, naming `key`, when it is not a positive multiple of it.
    """
    count = round(time / spacing)
    if count < 1 or abs(count * spacing - time) > 1e-3 * spacing:
        raise DynmatchError(
            f"{key}: {time:g} ps is not a positive multiple of the frame spacing, {spacing:g} ps"
        )
    return count


def thinned(trajectory: SiteTrajectory, spacing: float) -> SiteTrajectory:
    """The frames of every replica that are `spacing` (ps) apart, its first frame included."""
    stride = steps(spacing, trajectory.frame_spacing, "structure_spacing")
    starts = np.cumsum([0, *(replica.n_frames for replica in trajectory.replicas())])
    ranges = [np.arange(a, b, stride) for a, b in pairwise(starts)]
    return trajectory.frames(np.concatenate(ranges))


def log_lags(
    replicas: Sequence[SiteTrajectory], longest: float, extra: Sequence[float] = ()
) -> np.ndarray:
    """Lags in frames, spaced logarithmically from 1 frame to `longest` (ps).

    They are the powers of 10^(1/LAGS_PER_DECADE), rounded, whatever the length: trajectories with
    the same frame spacing have them in common. No lag exceeds half a replica, where fewer than two
    independent origins are left. The `extra` lags (ps) are put in where they are multiples of the
    frame spacing and not too long.

    Raises DynmatchError when a replica has fewer than three frames.
    """
    frames = min(replica.n_frames for replica in replicas)
    if frames < 3:
        raise DynmatchError(f"a replica of {frames} frames is too short for any lag; it takes 3")
    spacing = replicas[0].frame_spacing
    last = max(1, min(round(longest / spacing), frames // 2))
    points = np.arange(np.ceil(LAGS_PER_DECADE * np.log10(last)) + 1)
    wanted = np.array(extra, np.float64) / spacing
    whole = wanted[np.abs(wanted - wanted.round()) < 1e-3].round()
    lags = np.union1d((10 ** (points / LAGS_PER_DECADE)).round(), whole).astype(int)
    return lags[(lags >= 1) & (lags <= last)]


def lag_times(lags: np.ndarray, spacing: float) -> np.ndarray:
    """Lags in ps, without the rounding noise of the product."""
    return np.round(lags * spacing, 9)


def centre_of_mass(values: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Mass-weighted mean over the sites of `values` (F, N, 3): (F, 3) in float64."""
    return np.einsum("fnx,n->fx", values, np.asarray(masses, np.float64) / np.sum(masses))


def origins(replica: SiteTrajectory, lag: int, stride: int) -> np.ndarray:
    """First frames, `stride` frames apart, of the intervals of `lag` frames in a replica."""
    return np.arange(0, replica.n_frames - lag, stride)


def pieces(block: slice, size: int) -> list[slice]:
    """`block` cut into slices of `size` or less."""
    return [slice(a, min(a + size, block.stop)) for a in range(block.start, block.stop, size)]


def displacement_lengths(
    replica: SiteTrajectory, drift: np.ndarray, lag: int, stride: int, blocks: int = BLOCKS
) -> Iterator[tuple[int, np.ndarray]]:
    """Distances, nm, the sites move in `lag` frames, the drift (F, 3) taken off.

    Yields the number of a time block of origins, of `blocks`, and distances (O, N) from some of
    them.
    """
    all_origins = origins(replica, lag, stride)
    for number, block in enumerate(block_slices(len(all_origins), blocks)):
        for piece in pieces(block, max(1, CHUNK // replica.n_sites)):
            start = all_origins[piece]
            moved = replica.positions[start + lag] - replica.positions[start]
            moved = moved - (drift[start + lag] - drift[start])[:, None]
            yield number, np.sqrt(np.einsum("onx,onx->on", moved, moved))


def structure(observed: Observed) -> SiteTrajectory:
    """The frames that structure is computed from."""
    return thinned(observed.trajectory, observed.settings.structure_spacing)
