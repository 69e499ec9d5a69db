"""What a training says of itself."""

import numpy as np
import pytest

from dynmatch.training import convergence
from dynmatch.training.convergence import diverged, late_mean, problems_of

COLUMN = "msd_off_9ps"


def status_of(history, updates):
    return convergence.status_of(problems_of(history, updates))


def remedies(history, updates):
    return [problem.remedy for problem in problems_of(history, updates)]


def row(gap, floor, off):
    return {"score_gap_smoothed": gap, "gap_floor": floor, COLUMN: off}


def displaced(by: float, noise: float, count: int = 40) -> list[dict]:
    """By that share too far in the mean, with noise of that standard deviation."""
    noises = noise * np.random.default_rng(1).normal(size=count)
    return [row(0.01, 0.02, by + x - noises.mean()) for x in noises]


STEADY = displaced(0.0, 0.03)


def test_a_training_that_moves_as_far_as_its_reference_and_is_at_its_floor_is_ok():
    assert status_of(STEADY, 40) == "ok"
    assert status_of(displaced(0.0145, 0.0), 40) == "ok"


def test_only_what_fails_is_named_with_its_number():
    gap = [*STEADY[:-1], row(0.03, 0.02, 0.0)]
    assert status_of(gap, 40) == "score gap 0.03 above its floor 0.02"
    assert status_of(displaced(0.05, 0.0), 40) == "MSD at 9 ps is 5.0% too large"
    down = displaced(-0.035, 0.0)
    assert status_of(down, 40) == "MSD at 9 ps is 3.5% too small"
    (remedy,) = remedies(down, 40)
    assert "training.updates" in remedy
    assert "gap" not in remedy
    both = [*down[:-1], row(0.03, 0.02, -0.035)]
    assert (
        status_of(both, 40) == "MSD at 9 ps is 3.5% too small, score gap 0.03 above its floor 0.02"
    )


def test_the_worst_lag_and_type_is_named():
    more = {"msd_off_CH3_0.02ps": -0.04, "msd_off_OH_0.02ps": 0.03}
    history = [r | more for r in STEADY]
    assert status_of(history, 40) == "MSD of CH3 at 0.02 ps is 4.0% too small"


def test_what_is_known_too_badly_is_said_and_not_taken_for_wrong():
    assert status_of(displaced(0.0, 0.5), 40).endswith("% only")
    (remedy,) = remedies(displaced(0.0, 0.5), 40)
    assert "training.windows" in remedy


def test_windows_of_one_frame_have_no_displacements():
    assert status_of([{"score_gap_smoothed": 0.01, "gap_floor": 0.02}] * 40, 40) == "ok"


def test_the_error_is_that_of_a_mean():
    """Of 100 draws of noise: within a tenth of 0.1/20^(1/2), by means of 6 blocks."""
    errors = [
        late_mean(
            [row(0, 1, x) for x in 0.1 * np.random.default_rng(seed).normal(size=40)], COLUMN, 40
        )[1]
        for seed in range(100)
    ]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.1 / np.sqrt(20), rel=0.15)


def test_a_training_that_was_cut_off_says_where():
    assert status_of(STEADY[:12], 40) == "cut off at 12 of 40 updates"
    assert status_of(STEADY[:39], 40) == "cut off at 39 of 40 updates"
    (remedy,) = remedies(STEADY[:12], 40)
    assert "training.minutes" in remedy
    assert not remedies(STEADY, 40)


def test_it_counts_since_half_of_the_updates():
    history = [row(0, 1, 5.0)] * 20 + [row(0, 1, 0.02)] * 20
    assert late_mean(history, COLUMN, 40) == (pytest.approx(0.02), pytest.approx(0.0, abs=1e-9))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_divergence(bad):
    sound = {"score_gap": 0.1, "gradient_norm": 1.0}
    assert not diverged(sound)
    assert diverged({**sound, "score_gap": bad})
    assert diverged({**sound, "gradient_norm": 1e6})
