"""Whether a game has converged, what is missing where not, or whether it has left sense behind."""

from collections.abc import Mapping, Sequence

import numpy as np

LARGEST_GRADIENT = 1e4
STEADY = 0.01
"""Relative range of the mean D0 over the last quarter of the updates, up to which it is steady."""
Rows = Sequence[Mapping[str, float]]


def diverged(metrics: Mapping[str, float]) -> bool:
    """Whether an update has given what is no number, or a gradient out of all proportion."""
    finite = all(np.isfinite(value) for value in metrics.values())
    return not finite or metrics["gradient_norm"] > LARGEST_GRADIENT


def unsteadiness(history: Rows, updates: int) -> float:
    """Relative range, over the last quarter of `updates`, of the mean D0 since half of them: the
    model is that of the mean parameters since then."""
    d0 = np.array([row["d0_nm2_per_ps"] for row in history[updates // 2 :]])
    if len(d0) < 2:
        return np.inf
    means = np.cumsum(d0) / np.arange(1, len(d0) + 1)
    late = means[-max(1, updates // 4) :]
    return float(np.ptp(late) / np.mean(late))


def status_of(history: Rows, updates: int) -> str:
    """ "ok", or what keeps a training of so many planned `updates` from being converged.

    ok: D0 is steady, and the score gap is within its noise floor, so that a batch of windows of the
    model is not told from one of the reference. Never before three quarters of the updates: until
    then the rates are high, and the mean is of few updates.
    """
    done = len(history)
    if done < max(4, 3 * updates // 4):
        return f"cut off at {done} of {updates} updates"
    problems = []
    moved = unsteadiness(history, updates)
    if moved > STEADY:
        problems.append(f"D0 still moves by {moved:.1%}")
    gap, floor = history[-1]["score_gap_smoothed"], history[-1]["gap_floor"]
    if gap > floor:
        problems.append(f"score gap {gap:.2g} above its floor {floor:.2g}")
    return ", ".join(problems) or "ok"


def advice(status: str) -> str:
    """What helps against what a status names; nothing for "ok"."""
    if status.startswith("cut off"):
        return "leave out training.minutes, or raise it: the training goes on where it ended"
    if "D0" in status:
        return "raise training.updates"
    if "gap" in status:
        return (
            "the model cannot follow the windows that it is shown: give the potential or the "
            "memory more freedom, or take lags at which it can"
        )
    return ""
