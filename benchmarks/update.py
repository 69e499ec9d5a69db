"""One training update against a plain implementation, and against its own forward roll-out."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from benchmarks import plain
from benchmarks.timing import Row, Worker, alternate, row, seconds
from benchmarks.water import Water, copied, replicated
from dynmatch.dynamics import rollout
from dynmatch.settings import PotentialSettings, TrainingSettings
from dynmatch.training.state import draw
from dynmatch.training.train import Prepared, prepare

COPIES = (1, 2)
"""Of the box along each edge: 64 and 512 sites."""
FRAMES = 4000
"""Of the reference, from which windows are drawn."""
GOAL_PLAIN = 10.0
GOAL_FORWARD = 0.25
"""An update in at most four times a forward roll-out."""


def prepared(water: Water, copies: int) -> Prepared:
    """A game of the Langevin model, with the structure of the model that is timed."""
    box, some = np.asarray(water.trajectory.box), water.trajectory.frames(slice(0, FRAMES))
    positions = copied(np.mod(some.positions, box), box, copies).astype(np.float32)
    large = replicated(water.trajectory, copies)
    trajectory = replace(large, positions=positions, time=some.time)
    system, model = water.system, water.model
    settings = TrainingSettings.of(system["training"]), 1, False
    potential = PotentialSettings.of(system["potential"])
    made = prepare(trajectory, "ld", model.temperature, potential, *settings)
    parameters = jax.tree.map(jnp.asarray, model.parameters)
    return replace(made, initial=made.initial | {"potential": parameters})


def _first(made: Prepared):
    """The first state of the game, and what its first update sees."""
    drawn = draw(made.data, made.game.settings, 1, 0)
    return made.game.init(random.PRNGKey(2), made.initial, drawn), drawn


def _values(made: Prepared) -> dict:
    return jax.tree.map(jnp.exp, made.initial["dynamics"])


def update(water: Water, copies: int):
    """A measurement of the time of an update, s; the game moves on."""
    made = prepared(water, copies)
    state, drawn = _first(made)

    def once():
        nonlocal state
        state, metrics = made.game.update(state, drawn, jnp.float32(1.0))
        jax.block_until_ready((state, metrics))

    return lambda: seconds(once)


def forward(water: Water, copies: int, chunk: int | None = None):
    """A measurement of the time of the roll-out of an update alone, without tangents, s; `chunk`
    windows are side by side, as many as in the training where none is given."""
    made = prepared(water, copies)
    state, _ = _first(made)
    plan = replace(made.game.plan, learned=(), chunk=chunk or made.game.plan.chunk)
    tables = plan.potential.tabulate(made.initial["potential"])
    simulate = jax.jit(partial(rollout.simulate_windows, plan, _values(made), tables))
    return lambda: seconds(lambda: jax.block_until_ready(simulate(state.replicas)))


def plain_update(water: Water, copies: int):
    """A measurement of the time of a plain update, s: of one window, times their number.

    A roll-out with its tangents; what the classifier and the potential's gradient take is left out,
    in favour of the plain implementation.
    """
    made = prepared(water, copies)
    state = jax.tree.map(lambda a: a[0], _first(made)[0].replicas)
    plan, parameters = made.game.plan, made.initial["potential"]
    window, tangents = (jax.jit(partial(f, plan)) for f in (plain.window, plain.tangents))
    arguments = _values(made), parameters, state
    windows = made.game.settings.windows

    def once():
        jax.block_until_ready((window(*arguments), tangents(*arguments)))

    return lambda: windows * seconds(once)


def compare(water: Water) -> list[Row]:
    return [row for copies in COPIES for row in _compare(water, copies)]


def _compare(water: Water, copies: int) -> list[Row]:
    windows = TrainingSettings.of(water.system["training"]).of_dynamics("ld").windows
    size = f"{water.trajectory.n_sites * copies**3} sites, {windows} windows"
    with (
        Worker(update, water, copies) as ours,
        Worker(forward, water, copies) as rolled,
        Worker(plain_update, water, copies) as peer,
    ):
        measured = alternate({"ours": ours, "forward": rolled, "plain": peer})
    task, times = "training update, LD", measured["ours"]
    return [
        row(task, size, 1, times, measured["plain"], "plain", "s", GOAL_PLAIN),
        row(task, size, 1, times, measured["forward"], "its forward roll-out", "s", GOAL_FORWARD),
    ]
