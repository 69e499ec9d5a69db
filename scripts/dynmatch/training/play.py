"""The loop of a game: wall time, checkpoints, progress, and second chances."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import random
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.sites.windows import Windows
from dynmatch.storage.checkpoint import Resumable
from dynmatch.training.convergence import diverged
from dynmatch.training.game import Game
from dynmatch.training.state import Drawn, GameState, draw

SECOND_CHANCES = 2
CHECKPOINT_UPDATES = 5
"""Updates between two checkpoints. They are counted, not timed: a diverged update goes back to the
last one, and where that is must not depend on the speed of the machine."""


@dataclass
class Progress:
    """What a checkpoint keeps beside the game's state."""

    history: list[dict] = field(default_factory=list)
    start: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    rate: float = 1.0
    chances_used: int = 0


class Ended(NamedTuple):
    """The state after a game, and what ended it: "updates" or "minutes"."""

    state: GameState
    by: str


def play(
    game: Game,
    state: GameState,
    data: Windows,
    seed: int,
    progress: Progress,
    resumable: Resumable,
) -> Ended:
    """Update until the number of updates is reached, or the minutes are used up.

    A diverged update is undone back to the last checkpoint, with half the rate, at most twice.

    Raises DynmatchError when the training diverges more often.
    """
    settings, template = game.settings, state
    begun, earlier = time.monotonic(), progress.seconds
    if not progress.history:
        resumable.save(state, vars(progress))
    with tqdm(
        total=settings.updates, initial=len(progress.history), desc="training", unit="update"
    ) as bar:
        while True:
            progress.seconds = earlier + time.monotonic() - begun
            ended_by = _ended_by(progress, settings)
            if ended_by:
                break
            drawn = draw(data, settings, seed, len(progress.history) + 1)
            new_state, metrics = game.update(state, drawn, jnp.float32(progress.rate))
            metrics = {name: float(value) for name, value in jax.device_get(metrics).items()}
            if diverged(metrics):
                state = _second_chance(game, drawn, progress, metrics, template, resumable)
                bar.n = len(progress.history)
                continue
            state = new_state
            row = row_of(progress, metrics)
            progress.history.append(row)
            if len(progress.history) % CHECKPOINT_UPDATES == 0:
                resumable.save(state, vars(progress))
            bar.set_postfix_str(
                f"gap {row['score_gap_smoothed']:.3f} D0 {row['d0_nm2_per_ps']:.5f} nm^2/ps "
                f"|g| {row['gradient_norm']:.2g}"
            )
            bar.update()
    resumable.save(state, vars(progress))
    return Ended(state, ended_by)


def _ended_by(progress: Progress, settings) -> str | None:
    if len(progress.history) >= settings.updates:
        return "updates"
    if settings.minutes is not None and progress.seconds > 60 * settings.minutes:
        return "minutes"
    return None


def _second_chance(
    game: Game,
    drawn: Drawn,
    progress: Progress,
    metrics: Mapping[str, float],
    template: GameState,
    resumable: Resumable,
) -> GameState:
    """The state of the last checkpoint with fresh replicas; `progress` is set back to it."""
    used, number = progress.chances_used + 1, len(progress.history) + 1
    if used > SECOND_CHANCES:
        raise DynmatchError(
            f"the training diverged at update {number} for the third time "
            f"({_describe(metrics)}); lower training.rates, or the time step of the "
            "dynamics"
        )
    state, record = resumable.load(template)
    # other replicas and noise, or the same step would diverge again
    state = game.restart(random.fold_in(state.key, used), state, drawn)
    rate = 0.5 * progress.rate
    logging.warning(
        "update %d diverged (%s): back to update %d with the rates halved",
        number,
        _describe(metrics),
        len(record["history"]),
    )
    progress.__dict__.update(record)
    progress.rate, progress.chances_used = rate, used
    return state


def row_of(progress: Progress, metrics: Mapping[str, float]) -> dict[str, float | str]:
    """A row of history.csv."""
    return {
        "update": len(progress.history) + 1,
        "phase": "game",
        "minutes": progress.seconds / 60,
        **metrics,
        "rate": progress.rate,
    }


def _describe(metrics: Mapping[str, float]) -> str:
    return (
        f"score gap {metrics['score_gap']:.3g}, gradient norm {metrics['gradient_norm']:.3g}, "
        f"gamma/alpha {metrics['gamma_over_alpha']:.3g} amu/ps"
    )
