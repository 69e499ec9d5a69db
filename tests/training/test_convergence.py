"""What a training says of itself."""

import numpy as np
import pytest

from dynmatch.training.convergence import advice, diverged, status_of, unsteadiness


def row(gap, floor, d0):
    return {"score_gap_smoothed": gap, "gap_floor": floor, "d0_nm2_per_ps": d0}


STEADY = [row(0.01, 0.02, 0.006)] * 40


def test_a_steady_training_at_its_floor_is_ok():
    assert status_of(STEADY, 40) == "ok"
    assert status_of(STEADY[:30], 40) == "ok"
    swinging = [row(0.01, 0.02, 0.006 * (1 + 0.05 * (-1) ** n)) for n in range(40)]
    assert status_of(swinging, 40) == "ok"


def test_only_what_fails_is_named_with_its_number():
    gap = [*STEADY[:-1], row(0.03, 0.02, 0.006)]
    assert status_of(gap, 40) == "score gap 0.03 above its floor 0.02"
    # the mean since the 20th is 1 + 0.005 (20 + n): from 1.25 to 1.295 over the last quarter
    moving = [row(0.01, 0.02, 0.006 * (1 + 0.01 * n)) for n in range(40)]
    assert status_of(moving, 40) == "D0 still moves by 3.5%"
    assert "gap" not in advice(status_of(moving, 40))
    both = [*moving[:-1], row(0.03, 0.02, moving[-1]["d0_nm2_per_ps"])]
    assert status_of(both, 40) == "D0 still moves by 3.5%, score gap 0.03 above its floor 0.02"


def test_a_training_that_was_cut_off_says_where():
    assert status_of(STEADY[:12], 40) == "cut off at 12 of 40 updates"
    assert status_of(STEADY[:29], 40) == "cut off at 29 of 40 updates"
    assert "minutes" in advice("cut off at 12 of 40 updates")
    assert not advice("ok")


def test_the_mean_d0_counts_since_half_of_the_updates():
    """A linear rise from there on by 1 %: the mean of the last quarter rises by a quarter of it."""
    history = [row(0, 1, 0.001)] * 20 + [row(0, 1, 1 + 0.01 * n / 19) for n in range(20)]
    assert unsteadiness(history, 40) == pytest.approx(0.01 * 9 / 19 / 2, rel=0.1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_divergence(bad):
    sound = {"score_gap": 0.1, "gradient_norm": 1.0}
    assert not diverged(sound)
    assert diverged({**sound, "score_gap": bad})
    assert diverged({**sound, "gradient_norm": 1e6})
