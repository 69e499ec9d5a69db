"""The reference as training sees it: frames on a coarse grid of times, and windows of them."""

from dataclasses import dataclass

import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.sites.trajectory import SiteTrajectory

HELD_OUT = 0.15
"""Fraction of the trajectory, its end, that no classifier is trained on."""


@dataclass(frozen=True)
class Windows:
    """Frames of the reference and where training windows may start.

    frames  (G, N, 3) nm, unwrapped, `spacing` ps apart
    means   (G, N, 3) nm, positions averaged over the time `smoothing` up to each frame
    offsets (T,) grid steps from a window's start to each of its frames, the first 0
    starts  (S,) grid indices at which windows for training start
    held_out (H,) the same for windows that only measure
    box     (3,) nm
    """

    frames: np.ndarray
    means: np.ndarray
    spacing: float
    offsets: np.ndarray
    starts: np.ndarray
    held_out: np.ndarray
    box: np.ndarray


def windows_of(
    trajectory: SiteTrajectory, lags: list[float], spacing: float, smoothing: float = 0.0
) -> Windows:
    """Frames of `trajectory` about `spacing` ps apart, commensurate with all `lags` (ps),
    and positions averaged over the time `smoothing` (ps) before each.

    Raises DynmatchError when the trajectory is shorter than three windows.
    """
    step = trajectory.frame_spacing
    lag_frames = np.rint(np.asarray(lags) / step).astype(int)
    common = int(np.gcd.reduce(lag_frames))
    divisors = [k for k in range(1, common + 1) if common % k == 0]
    stride = max(k for k in divisors if k == 1 or k * step <= spacing * (1 + 1e-6))
    offsets = np.concatenate([[0], np.cumsum(lag_frames)]) // stride
    averaged = max(1, round(smoothing / step))
    pieces, means, starts, held_out, offset = [], [], [], [], 0
    for replica in trajectory.replicas():
        frames = replica.positions[averaged - 1 :: stride]
        count = len(frames) - offsets[-1]
        if count < 2 * offsets[-1]:
            window = sum(lags) + smoothing
            raise DynmatchError(
                f"training.lags: a window of {window:g} ps needs a reference of at least "
                f"{3 * window:g} ps, and this one has {replica.n_frames * step:g} ps"
            )
        # one window at least is held out, and shares no frame with those for training
        cut = min(int((1 - HELD_OUT) * count), count - 1 - offsets[-1])
        starts.append(offset + np.arange(cut))
        held_out.append(offset + np.arange(cut + offsets[-1], count))
        pieces.append(frames)
        windows = np.lib.stride_tricks.sliding_window_view(replica.positions, averaged, 0)
        means.append(windows[::stride].mean(-1, dtype=np.float64))
        offset += len(frames)
    return Windows(
        frames=np.concatenate(pieces).astype(np.float32),
        means=np.concatenate(means).astype(np.float32),
        spacing=stride * step,
        offsets=offsets,
        starts=np.concatenate(starts),
        held_out=np.concatenate(held_out),
        box=np.asarray(trajectory.box, np.float64),
    )
