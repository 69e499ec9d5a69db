"""One training update against a plain implementation, and against its own forward roll-out."""

import jax
import jax.numpy as jnp
from jax import random

from benchmarks import plain
from benchmarks.timing import Row, Worker, alternate, row, seconds
from benchmarks.water import Water, copied_data
from dynmatch.dynamics import rollout
from dynmatch.dynamics.rollout import Frames
from dynmatch.model import Model
from dynmatch.potentials import potential
from dynmatch.sites.windows import LearningData
from dynmatch.training import game as training
from dynmatch.training import train as loop
from dynmatch.training.classifiers.liquid import ClassifierForm

COPIES = (1, 2)
"""Of the box along each edge: 64 and 512 sites."""
GOAL_PLAIN = 10.0
GOAL_FORWARD = 0.25
"""An update in at most four times a forward roll-out."""


def plan_of(model: Model, data: LearningData, settings: dict) -> rollout.RolloutPlan:
    return loop.make_plan(model.kind, model.form, model.kT, data, settings)


def first_states(plan: rollout.RolloutPlan, model: Model, data: LearningData, windows: int):
    """States of windows that start from frames of the reference."""
    tables = potential.tabulate(model.form, model.parameters)
    positions = jnp.asarray(data.frames[data.starts[:windows]])
    keys = random.split(random.PRNGKey(1), windows)
    start = jax.jit(rollout.start, static_argnums=0)
    return start(plan, model.dynamics, tables, keys, positions)


def update(model: Model, data: LearningData, settings: dict):
    """A measurement of the time of an update, s; the game moves on."""
    judge = settings["classifier"]
    form = ClassifierForm(
        cutoff=model.form.cutoff,
        inner=0.85 * model.form.core,
        channels=judge["channels"],
        hidden=tuple(judge["hidden"]),
    )
    reference, scale = training.prepare_reference(form, data)
    plan, game_settings = plan_of(model, data, settings), loop.make_settings(settings)
    game = training.make_game(plan, form, game_settings, scale)
    reference = game.place(reference)
    dynamics = {name: jnp.log(getattr(model.dynamics, name)) for name in training.DYNAMICS}
    initial = {"potential": jax.tree.map(jnp.asarray, model.parameters), "dynamics": dynamics}
    state = game.init(random.PRNGKey(2), initial, reference)

    def once():
        nonlocal state
        state, metrics = game.update(state, reference, jnp.float32(1.0))
        jax.block_until_ready((state, metrics))

    return lambda: seconds(once)


def forward(model: Model, data: LearningData, settings: dict):
    """A measurement of the time of the roll-out of an update alone, s."""
    plan = plan_of(model, data, settings)
    states = first_states(plan, model, data, settings["windows"])
    tables = potential.tabulate(model.form, model.parameters)

    @jax.jit
    def simulate(states):
        return rollout.simulate_windows(plan, model.dynamics, tables, states)

    return lambda: seconds(lambda: jax.block_until_ready(simulate(states)))


def plain_update(model: Model, data: LearningData, settings: dict):
    """A measurement of the time of a plain update, s: of one window, times their number.

    A roll-out for the classifier and one with its gradient for the generator; what the classifier
    itself takes is left out, in favour of the plain implementation.
    """
    plan = plan_of(model, data, settings)
    state = jax.tree.map(lambda a: a[0], first_states(plan, model, data, 1))
    dynamics = model.dynamics
    shape = (len(plan.frame_steps), data.frames.shape[1], 3)
    cotangents = Frames(jnp.ones(shape), jnp.ones(shape))
    window = jax.jit(plain.window, static_argnums=0)
    gradient = jax.jit(plain.gradient, static_argnums=0)

    def once():
        seen = window(plan, dynamics, model.parameters, state)
        pulled = gradient(plan, dynamics, model.parameters, state, cotangents, cotangents)
        jax.block_until_ready((seen, pulled))

    return lambda: settings["windows"] * seconds(once)


def compare(water: Water) -> list[Row]:
    return [row for copies in COPIES for row in _compare(water, copied_data(water.data, copies))]


def _compare(water: Water, data: LearningData) -> list[Row]:
    settings = water.system["training"]
    arguments = water.model, data, settings
    size = f"{data.frames.shape[1]} sites, {settings['windows']} windows"
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
