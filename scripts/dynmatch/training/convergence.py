"""Whether a game has converged, what is missing where not, or whether it has left sense behind."""

from collections.abc import Mapping, Sequence

import numpy as np

LARGEST_GRADIENT = 1e4
TOLERANCE = 0.01
"""Of ln D0: what it may be off, beyond twice the error with which that is known."""
KNOWN = 0.02
"""The largest error with which it may be known."""
BLOCKS = 6
"""Of updates, from whose means that error is taken."""
Rows = Sequence[Mapping[str, float]]


def diverged(metrics: Mapping[str, float]) -> bool:
    """Whether an update has given what is no number, or a gradient out of all proportion."""
    finite = all(np.isfinite(value) for value in metrics.values())
    return not finite or metrics["gradient_norm"] > LARGEST_GRADIENT


def pull(history: Rows, updates: int) -> tuple[float, float]:
    """What ln D0 is off, as the classifier sees it, and the standard error of that.

    Every update tells by how much ln D0 would have to change (`optimiser.natural_step`). The model
    is that of the mean parameters since half of the `updates`: what is off is the mean since then.
    """
    pulls = np.array([row["d0_pull"] for row in history[updates // 2 :]])
    means = [np.mean(block) for block in np.array_split(pulls, min(BLOCKS, len(pulls)))]
    if len(means) < 2:
        return 0.0, np.inf
    return float(np.mean(pulls)), float(np.std(means, ddof=1) / np.sqrt(len(means)))


def status_of(history: Rows, updates: int) -> str:
    """ "ok", or what keeps a training of so many planned `updates` from being converged.

    ok: D0 is where the classifier wants it, as well as that is known, and the score gap is within
    its noise floor, so that a batch of windows of the model is not told from one of the reference.
    Never before three quarters of the updates: until then the rates are high, and the mean is of
    few updates.
    """
    done = len(history)
    if done < max(4, 3 * updates // 4):
        return f"cut off at {done} of {updates} updates"
    problems = []
    off, error = pull(history, updates)
    if abs(off) - 2 * error > TOLERANCE:
        problems.append(f"D0 is pulled {'up' if off > 0 else 'down'} by {abs(off):.1%}")
    if error > KNOWN:
        problems.append(f"D0 is known to {error:.1%} only")
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
