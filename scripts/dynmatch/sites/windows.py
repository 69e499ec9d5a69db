"""The reference as training sees it: windows of frames, taken from the trajectory when drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.sites.trajectory import SiteTrajectory

HELD_OUT = 0.15
"""Fraction of each replica, its end, that no classifier is trained on."""


class Batch(NamedTuple):
    """Windows of the reference: positions and means (W, T, N, 3), nm, unwrapped, in single
    precision."""

    positions: np.ndarray
    means: np.ndarray


@dataclass(frozen=True)
class Windows:
    """Where windows of a reference start, and what they hold.

    trajectory  of the reference; it may lie on disk
    offsets     (T,) frames from a window's start to each of its own, the first 0
    averaged    frames up to each of a window's over which its mean positions are taken
    starts      (S,) frames at which windows for training start
    held_out    (H,) the same for windows that only measure; none shares a frame with the others
    """

    trajectory: SiteTrajectory
    offsets: np.ndarray
    averaged: int
    starts: np.ndarray
    held_out: np.ndarray

    @property
    def box(self) -> np.ndarray:
        """(3,) nm."""
        return np.asarray(self.trajectory.box, np.float64)

    def take(self, starts: np.ndarray) -> Batch:
        """The windows that start at the frames `starts` (W,)."""
        frames = starts[:, None] + self.offsets
        positions = self.trajectory.positions
        seen = positions[frames].astype(np.float32, copy=False)
        if self.averaged == 1:
            return Batch(seen, seen)
        means = np.empty(seen.shape, np.float32)
        for place in np.ndindex(*frames.shape):
            last = frames[place] + 1
            means[place] = positions[last - self.averaged : last].mean(0, dtype=np.float64)
        return Batch(seen, means)

    def some_frames(self, count: int) -> np.ndarray:
        """(F, N, 3) nm: at most `count` frames of the training part, evenly spread."""
        index = self.starts[np.linspace(0, len(self.starts) - 1, count).astype(int)]
        return self.trajectory.positions[np.unique(index)].astype(np.float32, copy=False)


def windows_of(
    trajectory: SiteTrajectory, lags: Sequence[float], smoothing: float = 0.0
) -> Windows:
    """Windows of `trajectory` whose frames are `lags` (ps) apart, with positions averaged over the
    time `smoothing` (ps) before each.

    Raises DynmatchError when a replica is shorter than three windows.
    """
    step = trajectory.frame_spacing
    offsets = np.concatenate([[0], np.cumsum(np.rint(np.asarray(lags) / step).astype(int))])
    averaged = max(1, round(smoothing / step))
    starts, held_out, first = [], [], 0
    for replica in trajectory.replicas():
        lead, length = averaged - 1, offsets[-1]
        count = replica.n_frames - lead - length
        if count < 2 * length:
            window = sum(lags) + smoothing
            raise DynmatchError(
                f"training.lags: a window of {window:g} ps needs a reference of at least "
                f"{3 * window:g} ps, and this one has {replica.n_frames * step:g} ps"
            )
        # one window at least is held out, and shares no frame with those for training
        cut = min(int((1 - HELD_OUT) * count), count - 1 - length)
        starts.append(first + lead + np.arange(cut))
        held_out.append(first + lead + np.arange(cut + length, count))
        first += replica.n_frames
    return Windows(trajectory, offsets, averaged, np.concatenate(starts), np.concatenate(held_out))
