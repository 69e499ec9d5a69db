"""Whether a game has converged, or has left the realm of sense."""

from collections.abc import Mapping, Sequence

import numpy as np

LARGEST_GRADIENT = 1e4
STEADY = 0.01
"""Relative range of the mean D0 over the last quarter of the updates, up to which it is steady."""


def diverged(metrics: Mapping[str, float]) -> bool:
    """Whether an update has given what is no number, or a gradient out of all proportion."""
    finite = all(np.isfinite(value) for value in metrics.values())
    return not finite or metrics["gradient_norm"] > LARGEST_GRADIENT


def has_converged(history: Sequence[Mapping[str, float]], updates: int) -> bool:
    """Score gap at its noise floor, and D0 steady to 1 % over the last quarter of `updates`: the
    mean D0 of the second half, as the model is that of the parameters.

    Never before three quarters: until then the rates are high, and the mean is of few updates.
    """
    if len(history) < max(4, 3 * updates // 4):
        return False
    d0 = np.array([row["d0_nm2_per_ps"] for row in history[updates // 2 :]])
    means = np.cumsum(d0) / np.arange(1, len(d0) + 1)
    late = means[-max(1, updates // 4) :]
    gap, floor = history[-1]["score_gap_smoothed"], history[-1]["gap_floor"]
    return bool(gap <= floor and np.ptp(late) <= STEADY * np.mean(late))
