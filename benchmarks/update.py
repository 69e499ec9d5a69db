"""One training update against a plain implementation, and against its own forward roll-out."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from benchmarks import plain
from benchmarks.timing import Row, Worker, alternate, row, seconds
from benchmarks.water import Water, copied_reference
from dynmatch.dynamics import rollout
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.model import Model
from dynmatch.settings import TrainingSettings
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Windows, windows_of
from dynmatch.training.classifiers.registry import form_of
from dynmatch.training.game import Game, standard_for
from dynmatch.training.plan import make_plan
from dynmatch.training.state import draw

COPIES = (1, 2)
"""Of the box along each edge: 64 and 512 sites."""
GOAL_PLAIN = 10.0
GOAL_FORWARD = 0.25
"""An update in at most four times a forward roll-out."""


def plan_of(model: Model, data: Windows, settings: TrainingSettings) -> RolloutPlan:
    topology = data.trajectory.topology
    return make_plan(model.equation, model.potential, topology, model.kT, data, settings)


def data_of(reference: SiteTrajectory, settings: TrainingSettings) -> Windows:
    return windows_of(reference, settings.lags, settings.smoothing)


def first_states(plan: RolloutPlan, model: Model, data: Windows, windows: int):
    """States of windows that start from frames of the reference."""
    tables = plan.potential.tabulate(model.parameters)
    positions = jnp.asarray(data.trajectory.positions[data.starts[:windows]])
    keys = random.split(random.PRNGKey(1), windows)
    start = jax.jit(rollout.start, static_argnums=0)
    return start(plan, model.bath, tables, keys, positions)


def update(model: Model, reference: SiteTrajectory, settings: TrainingSettings):
    """A measurement of the time of an update, s; the game moves on."""
    data = data_of(reference, settings)
    plan = plan_of(model, data, settings)
    form = form_of(plan.potential.sees).of(plan.potential, plan.topology, settings.classifier)
    some = data.starts[np.linspace(0, len(data.starts) - 1, 256).astype(int)]
    game = Game(plan, form, settings, (), standard_for(form, data.box, data.take(some)))
    initial = {
        "potential": jax.tree.map(jnp.asarray, model.parameters),
        "dynamics": {name: jnp.log(value) for name, value in model.bath.items()},
    }
    state = game.init(random.PRNGKey(2), initial, draw(data, settings, 1, 0))
    number = 0

    def once():
        nonlocal state, number
        number += 1
        state, metrics = game.update(state, draw(data, settings, 1, number), jnp.float32(1.0))
        jax.block_until_ready((state, metrics))

    return lambda: seconds(once)


def forward(model: Model, reference: SiteTrajectory, settings: TrainingSettings):
    """A measurement of the time of the roll-out of an update alone, without tangents, s."""
    data = data_of(reference, settings)
    plan = replace(plan_of(model, data, settings), learned=())
    states = first_states(plan, model, data, settings.windows)
    tables = plan.potential.tabulate(model.parameters)

    @jax.jit
    def simulate(states):
        return rollout.simulate_windows(plan, model.bath, tables, states)

    return lambda: seconds(lambda: jax.block_until_ready(simulate(states)))


def plain_update(model: Model, reference: SiteTrajectory, settings: TrainingSettings):
    """A measurement of the time of a plain update, s: of one window, times their number.

    A roll-out for the classifier and one with its gradient for the generator; what the classifier
    itself takes is left out, in favour of the plain implementation.
    """
    data = data_of(reference, settings)
    plan = plan_of(model, data, settings)
    state = jax.tree.map(lambda a: a[0], first_states(plan, model, data, 1))
    values = model.bath
    cotangents = jnp.ones((len(plan.frame_steps), reference.n_sites, 3))
    window = jax.jit(plain.window, static_argnums=0)
    gradient = jax.jit(plain.gradient, static_argnums=0)

    def once():
        seen = window(plan, values, model.parameters, state)
        found = gradient(plan, values, model.parameters, state, cotangents)
        jax.block_until_ready((seen, found))

    return lambda: settings.windows * seconds(once)


def compare(water: Water) -> list[Row]:
    return [
        row
        for copies in COPIES
        for row in _compare(water, copied_reference(water.trajectory, copies))
    ]


def _compare(water: Water, reference: SiteTrajectory) -> list[Row]:
    arguments = water.model, reference, water.training
    size = f"{reference.n_sites} sites, {water.training.windows} windows"
    with (
        Worker(update, *arguments) as ours,
        Worker(forward, *arguments) as rolled,
        Worker(plain_update, *arguments) as peer,
    ):
        measured = alternate({"ours": ours, "forward": rolled, "plain": peer})
    task, times = "training update, LD", measured["ours"]
    return [
        row(task, size, 1, times, measured["plain"], "plain", "s", GOAL_PLAIN),
        row(task, size, 1, times, measured["forward"], "its forward roll-out", "s", GOAL_FORWARD),
    ]
