"""Training windows: their times and their split."""

import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import windows_of

BOX = np.array([1.4, 1.5, 1.6])
SPACING = 0.1


def clock(frames: int, replicas: int = 1) -> SiteTrajectory:
    """Two sites; the first one's x is the time in ps, its y the number of the replica."""
    time = np.tile(np.arange(frames) * SPACING, replicas)
    positions = np.zeros((frames * replicas, 2, 3), np.float32)
    positions[:, 0, 0] = time
    positions[:, 0, 1] = np.repeat(np.arange(replicas), frames)
    return SiteTrajectory(
        positions=positions,
        time=time,
        masses=np.full(2, 18.0),
        topology=independent_sites(["W", "W"], "HOH"),
        box=BOX,
    )


def windows(data, starts) -> np.ndarray:
    """x, the time, and y, the replica, of every frame of the windows: (S, T, 2)."""
    return data.take(starts).positions[:, :, 0, :2]


@pytest.mark.parametrize("lags", [[0.4, 1.2], [0.5, 0.5], [0.3], [0.7, 0.3, 0.2]])
def test_frames_of_a_window_are_its_lags_apart_and_of_one_replica(lags):
    data = windows_of(clock(200, replicas=3), lags)
    for starts in (data.starts, data.held_out):
        found = windows(data, starts)
        times = found[:, :, 0] - found[:, :1, 0]
        np.testing.assert_allclose(times, [np.cumsum([0.0, *lags])] * len(starts), atol=1e-5)
        assert np.all(found[:, :, 1] == found[:, :1, 1])
        assert set(found[:, 0, 1]) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("frames", [31, 40, 80, 400])
def test_held_out_windows_share_no_frame_and_no_time_with_training_windows(frames):
    """Windows of 10 frames in trajectories of three windows and more."""
    data = windows_of(clock(frames, replicas=2), [0.4, 0.6])
    assert len(data.starts) > 0 and len(data.held_out) > 0
    for replica in (0.0, 1.0):
        training, held_out = (
            found[found[:, 0, 1] == replica]
            for found in (windows(data, data.starts), windows(data, data.held_out))
        )
        assert training[:, -1, 0].max() < held_out[:, 0, 0].min()
        assert held_out[:, -1, 0].max() == pytest.approx((frames - 1) * SPACING, abs=1e-5)


def test_most_of_a_long_trajectory_is_for_training():
    data = windows_of(clock(2000), [0.4, 0.6])
    assert 0.8 < len(data.starts) / 2000 < 0.9
    assert 0.1 < len(data.held_out) / 2000 < 0.2


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.3])
def test_means_are_of_the_time_before_a_frame_and_of_one_replica(smoothing):
    """The mean of n equally spaced times up to t is t - (n - 1)/2 spacings."""
    data = windows_of(clock(200, replicas=3), [0.4, 1.2], smoothing)
    behind = (max(round(smoothing / SPACING), 1) - 1) / 2 * SPACING
    for starts in (data.starts, data.held_out):
        seen, means = data.take(starts)
        np.testing.assert_allclose(means[:, :, 0, 0], seen[:, :, 0, 0] - behind, atol=1e-5)
        assert np.array_equal(means[:, :, 0, 1], seen[:, :, 0, 1])


def test_some_frames_are_spread_over_the_training_part():
    data = windows_of(clock(400, replicas=2), [0.4, 0.6])
    frames = data.some_frames(10)
    assert frames.shape == (10, 2, 3)
    assert set(frames[:, 0, 1]) == {0.0, 1.0}
    assert frames[:, 0, 0].max() < 0.9 * 400 * SPACING
    assert len(data.some_frames(10_000)) == len(data.starts)


def test_too_short_a_trajectory_is_refused():
    with pytest.raises(DynmatchError, match=r"training\.lags.*window of 4 ps.*at least 12 ps"):
        windows_of(clock(100), [2.0, 2.0])
