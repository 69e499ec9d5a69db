"""One training update against a plain implementation, against its own forward roll-out, and by
size; the memory of a training on a large reference."""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from benchmarks import plain
from benchmarks.timing import Row, Worker, alternate, row, seconds
from benchmarks.water import Water, copied, replicated
from dynmatch.dynamics import rollout
from dynmatch.settings import PotentialSettings, TrainingSettings
from dynmatch.sites.trajectory import SiteTrajectory, read, write
from dynmatch.storage.memmap import empty
from dynmatch.training.state import draw
from dynmatch.training.train import Prepared, prepare, train

LARGER, LARGEST = 2, 4
"""Copies of the box along each edge: 512 and 4096 sites."""
FRAMES = 4000
"""Of the reference, from which windows are drawn."""
GOAL_PLAIN = 10.0
GOAL_FORWARD = 0.25
"""An update in at most four times a forward roll-out."""
GOAL_LINEAR = 1 / 1.1
"""Time a site at 64 sites over that at more."""
LONG = 10_000.0
"""Of the reference whose training's memory is measured, ps."""
LONG_SPACING = 0.2
"""Between its frames, ps: 2.5 GB in all."""
LIMIT_MEMORY = 6000.0
"""MB."""
STARTED = 2
"""Updates of its structural start."""


def prepared(water: Water, copies: int) -> Prepared:
    """A game of the Langevin model, with the structure of the model that is timed."""
    some = _copies(water.trajectory.frames(slice(0, FRAMES)), copies)
    return _of_the_model(water, some)


def _copies(trajectory: SiteTrajectory, copies: int) -> SiteTrajectory:
    """All frames of `trajectory`, `copies` times along each edge of the box."""
    box = np.asarray(trajectory.box)
    positions = copied(np.mod(trajectory.positions, box), box, copies).astype(np.float32)
    return replace(replicated(trajectory, copies), positions=positions, time=trajectory.time)


def _of_the_model(water: Water, trajectory: SiteTrajectory) -> Prepared:
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


def size_of(water: Water, copies: int) -> str:
    """The size of an update of `copies` of the box along each edge, as rows have it."""
    windows = TrainingSettings.of(water.system["training"]).of_dynamics("ld").windows
    return f"{water.trajectory.n_sites * copies**3} sites, {windows} windows"


def compare(water: Water) -> list[Row]:
    """Times of an update against its peers, and of a larger one against it, site for site."""
    task, size = "training update, LD", size_of(water, 1)
    with (
        Worker(update, water, 1) as ours,
        Worker(forward, water, 1) as rolled,
        Worker(plain_update, water, 1) as peer,
    ):
        measured = alternate({"ours": ours, "forward": rolled, "plain": peer})
    times = measured["ours"]
    with Worker(update, water, LARGER) as many, Worker(update, water, 1) as few:
        pair = alternate({"many": many, "few": few})
    return [
        row(task, size, 1, times, measured["plain"], "plain", "s", GOAL_PLAIN),
        row(task, size, 1, times, measured["forward"], "its forward roll-out", "s", GOAL_FORWARD),
        _of_a_site(water, LARGER, pair["many"], pair["few"]),
    ]


def _of_a_site(water: Water, copies: int, many: np.ndarray, few: np.ndarray) -> Row:
    """Times of an update of `copies` of the box along each edge against those of the box."""
    sites = water.trajectory.n_sites
    many, few = 1000 * many / (sites * copies**3), 1000 * few / sites
    task, size = f"training update, LD, a site of {sites * copies**3}", size_of(water, copies)
    return row(task, size, 1, many, few, f"dynmatch, {sites} sites", "ms", GOAL_LINEAR)


def write_long(path: Path, trajectory: SiteTrajectory, copies: int) -> None:
    """Write the frames of `trajectory`, copied in space, and its replicas one after the other until
    they are `LONG`."""
    stride = round(LONG_SPACING / (trajectory.time[1] - trajectory.time[0]))
    parts = [
        each.frames(slice(first % stride, None, stride))
        for first in range(stride)
        for each in trajectory.replicas()
    ]
    frames = round(LONG / LONG_SPACING)
    large = replicated(trajectory, copies)
    positions = empty((frames, large.n_sites, 3), np.float32)
    time, done = np.empty(frames), 0
    box = np.asarray(trajectory.box)
    for part in parts:
        count = min(part.n_frames, frames - done)
        if not count:
            break
        chosen = slice(done, done + count)
        positions[chosen] = copied(part.positions[:count], box, copies)
        time[chosen] = part.time[:count] - part.time[0]
        done += count
    write(path, replace(large, positions=positions[:done], time=time[:done]))


def training(water: Water, path: Path):
    """A measurement of an update, s, the second one of a whole training on the file at `path`."""
    settings = TrainingSettings.of(water.system["training"])
    short = replace(settings, updates=2, start=replace(settings.start, updates=STARTED))
    potential = PotentialSettings.of(water.system["potential"])

    def once():
        trajectory = read(path, velocities=False, forces=False)
        trained = train(trajectory, "ld", water.model.temperature, potential, short)
        first, second = (row["minutes"] for row in trained.history)
        return 60 * (second - first)

    return once


def large(water: Water) -> list[Row]:
    """Time of an update and memory of a training on a large and long reference."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "projected.h5"
        write_long(path, water.trajectory, LARGEST)
        with Worker(update, water, 1) as few, Worker(training, water, path) as many:
            few()
            before, time, after = few(), many(), few()
            peak = many.peak_memory()
    size = f"{water.trajectory.n_sites * LARGEST**3} sites, {LONG / 1000:g} ns"
    task, limit = "training, LD, peak memory", np.array(LIMIT_MEMORY)
    return [
        _of_a_site(water, LARGEST, np.array([time]), np.array([before, after])),
        row(task, size, 1, np.array(peak), limit, "limit", "MB", 1.0),
    ]
