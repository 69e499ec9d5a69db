"""What a training says of itself."""

import numpy as np
import pytest

from dynmatch.training.convergence import advice, diverged, pull, status_of


def row(gap, floor, pull):
    return {"score_gap_smoothed": gap, "gap_floor": floor, "d0_pull": pull}


def pulled(by: float, noise: float, count: int = 40) -> list[dict]:
    """By ln D0 in the mean, with noise of that standard deviation."""
    noises = noise * np.random.default_rng(1).normal(size=count)
    return [row(0.01, 0.02, by + x - noises.mean()) for x in noises]


STEADY = pulled(0.0, 0.03)


def test_a_training_that_nothing_pulls_and_at_its_floor_is_ok():
    assert status_of(STEADY, 40) == "ok"
    assert status_of(STEADY[:30], 40) == "ok"
    assert status_of(pulled(0.005, 0.0), 40) == "ok"


def test_only_what_fails_is_named_with_its_number():
    gap = [*STEADY[:-1], row(0.03, 0.02, 0.0)]
    assert status_of(gap, 40) == "score gap 0.03 above its floor 0.02"
    assert status_of(pulled(0.05, 0.0), 40) == "D0 is pulled up by 5.0%"
    down = pulled(-0.035, 0.0)
    assert status_of(down, 40) == "D0 is pulled down by 3.5%"
    assert "gap" not in advice(status_of(down, 40))
    both = [*down[:-1], row(0.03, 0.02, -0.035)]
    assert status_of(both, 40) == "D0 is pulled down by 3.5%, score gap 0.03 above its floor 0.02"


def test_what_is_known_too_badly_is_said_and_not_taken_for_a_pull():
    assert status_of(pulled(0.0, 0.5), 40).endswith("% only")
    assert "updates" in advice(status_of(pulled(0.0, 0.5), 40))


def test_the_error_of_the_pull_is_that_of_a_mean():
    """Of 100 draws of noise: within a tenth of 0.1/20^(1/2), by means of 6 blocks."""
    errors = [
        pull([row(0, 1, x) for x in 0.1 * np.random.default_rng(seed).normal(size=40)], 40)[1]
        for seed in range(100)
    ]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(0.1 / np.sqrt(20), rel=0.15)


def test_a_training_that_was_cut_off_says_where():
    assert status_of(STEADY[:12], 40) == "cut off at 12 of 40 updates"
    assert status_of(STEADY[:29], 40) == "cut off at 29 of 40 updates"
    assert "minutes" in advice("cut off at 12 of 40 updates")
    assert not advice("ok")


def test_the_pull_counts_since_half_of_the_updates():
    history = [row(0, 1, 5.0)] * 20 + [row(0, 1, 0.02)] * 20
    assert pull(history, 40) == (pytest.approx(0.02), pytest.approx(0.0, abs=1e-9))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_divergence(bad):
    sound = {"score_gap": 0.1, "gradient_norm": 1.0}
    assert not diverged(sound)
    assert diverged({**sound, "score_gap": bad})
    assert diverged({**sound, "gradient_norm": 1e6})
