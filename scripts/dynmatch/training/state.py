"""What goes into an update of the game, and the state that it changes."""

from typing import NamedTuple

import jax
import numpy as np
import optax
from jax import Array

from dynmatch.settings import TrainingSettings
from dynmatch.sites.windows import Batch, Windows
from dynmatch.training.optimiser import NaturalState


class Drawn(NamedTuple):
    """What an update sees of the reference: windows for the classifier, windows that only measure
    (2 W of them), and frames (W, N, 3), nm, from which replicas of the model may start anew."""

    reference: Batch
    held_out: Batch
    starts: np.ndarray


class GameState(NamedTuple):
    """Everything an update changes; `parameters` = {"potential", "dynamics": ln values}."""

    parameters: dict
    averaged: dict
    moments: optax.OptState
    natural: NaturalState
    classifier: dict
    classifier_moments: optax.OptState
    replicas: tuple
    key: Array
    update: Array
    score_gap: Array
    noise: Array


def draw(data: Windows, settings: TrainingSettings, seed: int, update: int) -> Drawn:
    """What update number `update` of the training with that `seed` sees of the reference."""
    random = np.random.default_rng([seed, update])
    chosen = random.choice(data.starts, settings.aa_windows)
    held_out = random.choice(data.held_out, 2 * settings.windows)
    starts = data.trajectory.positions[random.choice(data.starts, settings.windows)]
    taken = data.take(chosen), data.take(held_out)
    return Drawn(*jax.tree.map(jax.numpy.asarray, (*taken, starts.astype(np.float32))))
