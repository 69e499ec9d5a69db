"""Whether a game has converged, what is missing where not, or whether it has left sense behind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LARGEST_GRADIENT = 1e4
MSD_OFF = "msd_off_"
"""What columns of history.csv begin with that say what a mean square displacement is off."""
TOLERANCE = 0.015
"""What that may be, beyond the error with which it is known."""
KNOWN = 0.02
"""The largest error with which it may be known."""
BLOCKS = 6
"""Of updates, from whose means that error is taken."""
Rows = Sequence[Mapping[str, float]]


def diverged(metrics: Mapping[str, float]) -> bool:
    """Whether an update has given what is no number, or a gradient out of all proportion."""
    finite = all(np.isfinite(value) for value in metrics.values())
    return not finite or metrics["gradient_norm"] > LARGEST_GRADIENT


def late_mean(history: Rows, column: str, updates: int) -> tuple[float, float]:
    """Of a column since half of the `updates`, and the standard error of that. The model is that of
    the mean parameters since then."""
    values = np.array([row[column] for row in history[updates // 2 :]])
    means = [np.mean(block) for block in np.array_split(values, min(BLOCKS, len(values)))]
    if len(means) < 2:
        return 0.0, np.inf
    return float(np.mean(values)), float(np.std(means, ddof=1) / np.sqrt(len(means)))


@dataclass(frozen=True)
class Problem:
    """What keeps a training from being converged, and what helps against it."""

    what: str
    remedy: str


def problems_of(history: Rows, updates: int) -> list[Problem]:
    """What keeps a training of so many planned `updates` from being converged; nothing where, over
    each lag, the model's sites are displaced as far as the reference's, as well as that is known,
    and the score gap is within its noise floor, so that a batch of windows of the model is not
    told from one of the reference.
    """
    done = len(history)
    if done < updates:
        remedy = "leave out training.minutes, or raise it: the training goes on where it ended"
        return [Problem(f"cut off at {done} of {updates} updates", remedy)]
    return [*_displacement_problems(history, updates), *_gap_problems(history[-1])]


def status_of(problems: Sequence[Problem]) -> str:
    """ "ok", or what the problems are."""
    return ", ".join(each.what for each in problems) or "ok"


def _displacement_problems(history: Rows, updates: int) -> Iterator[Problem]:
    """The worst of what is off, and of what is not known."""
    columns = [name for name in history[-1] if name.startswith(MSD_OFF)]
    found = {_place(name): late_mean(history, name, updates) for name in columns}
    wrong = {at: off for at, (off, error) in found.items() if abs(off) - error > TOLERANCE}
    if wrong:
        at = max(wrong, key=lambda at: abs(wrong[at]))
        size = "large" if wrong[at] > 0 else "small"
        yield Problem(
            f"MSD {at} is {abs(wrong[at]):.1%} too {size}",
            "raise training.updates; if it stays, the model cannot follow at this lag: give it "
            "memory (gle), or take lags at which it can",
        )
    vague = {at: error for at, (_, error) in found.items() if error > KNOWN}
    if vague:
        at = max(vague, key=vague.get)
        yield Problem(
            f"MSD {at} is known to {vague[at]:.1%} only",
            "raise training.windows or training.updates: more windows know it better",
        )


def _gap_problems(last: Mapping[str, float]) -> Iterator[Problem]:
    gap, floor = last["score_gap_smoothed"], last["gap_floor"]
    if gap > floor:
        yield Problem(
            f"score gap {gap:.2g} above its floor {floor:.2g}",
            "the model cannot follow the windows that it is shown: give the potential or the "
            "memory more freedom, or take lags at which it can",
        )


def _place(column: str) -> str:
    *of, lag = column.removeprefix(MSD_OFF).rsplit("_", 1)
    return " ".join([*(f"of {name}" for name in of), f"at {lag.removesuffix('ps')} ps"])
