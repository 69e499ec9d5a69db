"""The motion of a trained model: several independent replicas side by side, watched for trouble."""

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials.neighbour_lists import NeighbourLists
from dynmatch.runtime.sharding import devices_for, placed, spread
from dynmatch.sites.trajectory import SiteTrajectory

LONGEST_REBUILD = 20
"""Steps between two rebuilds of the neighbour lists, at most."""
SEARCH = 1.5
"""Cost of a rebuild over that of the forces within the bare ranges, about."""
FAR = 6.5
"""Standard deviations of its free motion that hardly any site ever goes: one in 10^9."""


class Progress(NamedTuple):
    """Where a run is: `states` of the replicas, their `energies` (replicas,) in kJ/mol, chunks
    `done`, `growths` of the neighbour lists, and steps to their next `rebuild`."""

    states: Any
    energies: np.ndarray
    done: int
    growths: int
    rebuild: int


def propagator(
    model: Model, start: SiteTrajectory, replicas: int, steps: int, frames: int, seed: int
) -> tuple[Progress, Callable]:
    """The beginning of a run from frames of `start`, and the function that continues it by a chunk.

    advance(progress) -> progress, positions (replicas, frames, N, 3) in nm of frames `steps` steps
    apart, and their velocities in nm/ps where the dynamics has any, or None. The replicas are
    shared out to all of JAX's devices.

    `advance` raises DynmatchError, naming step, replica and energy, when a replica leaves the realm
    of numbers or explodes.
    """
    box = jnp.asarray(start.box, jnp.float32)
    potential, equation, topology = model.potential, model.equation, start.topology
    potential.require(topology)
    types, values, kT = topology.types_among(potential.names), model.bath, model.kT
    tables = potential.tabulate(model.parameters)
    first_rebuild, skin = rebuild_interval(model)
    lists = NeighbourLists(potential, start.box, start.n_sites, skin)
    mesh = devices_for(replicas)

    def force_with(neighbours):
        return lambda x: potential.force(tables, x, box, topology, neighbours)

    def begin(key, x, neighbours):
        return equation.init(values, kT, types, force_with(neighbours), key, x)

    picked = np.linspace(0, start.n_frames - 1, replicas).astype(int)
    positions = jnp.asarray(start.positions[picked], jnp.float32)
    keys = random.split(random.PRNGKey(seed), replicas)
    allocated, capacity = 0, lists.capacity(positions, 0)
    near, _ = lists.update(capacity, positions)
    states = jax.jit(jax.vmap(begin))(keys, positions, near)

    def chunk(rebuild, capacity, states):
        """`frames` frames; also whether the lists had room, and no site outran the skin."""

        def block(number, carry):
            states, _, enough, kept = carry
            length = jnp.minimum(rebuild, steps - number * rebuild)
            near, fits = lists.update(capacity, states.position)

            def step(_, states):
                return jax.vmap(lambda s, n: equation.step(values, kT, types, force_with(n), s))(
                    states, near
                )

            before = states.position
            states = lax.fori_loop(0, length, step, states)
            way = jnp.max(jnp.sum((states.position - before) ** 2, -1))
            return states, near, enough & fits, kept & (way < (0.5 * skin) ** 2)

        def frame(carry, _):
            carry = lax.fori_loop(0, math.ceil(steps / rebuild), block, carry)
            states = carry[0]
            v = jax.vmap(lambda s: equation.velocity(values, s))(states)
            return carry, (states.position, v)

        yes = jnp.bool_(True)
        # no lists yet: every block begins with new ones, and the last serve for the energies
        shapes, _ = jax.eval_shape(partial(lists.update, capacity), states.position)
        near = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        carry = states, near, yes, yes
        (states, near, enough, kept), seen = lax.scan(frame, carry, None, length=frames)
        energies = jax.vmap(lambda x, n: potential.energy(tables, x, box, topology, n))(
            states.position, near
        )
        seen = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), seen)
        return states, enough[None], kept[None], seen, energies

    @partial(jax.jit, static_argnums=(0, 1))
    def shared_chunk(rebuild, capacity, states):
        return spread(partial(chunk, rebuild, capacity), mesh, (True,))(states)

    def advance(progress: Progress):
        nonlocal allocated, capacity
        states, last, done, growths, rebuild = progress
        states = placed(states, mesh, split=True)
        while True:
            if growths != allocated:
                allocated, capacity = growths, lists.capacity(positions, growths)
            after, enough, kept, (x, v), energies = shared_chunk(rebuild, capacity, states)
            exploded = not np.isfinite(np.asarray(after.position)).all()
            if exploded or (enough.all() and (kept.all() or rebuild == 1)):
                break
            if not enough.all():
                logging.info("a neighbour list overflowed; allocating larger ones")
                growths += 1
            else:
                rebuild = max(1, rebuild // 2)
                logging.info("a site outran the skin; rebuilding every %d steps", rebuild)
        x = np.asarray(x)
        energies = _require_sound(x, done, steps, energies, last, start)
        v = None if v is None else np.asarray(v)
        return Progress(after, energies, done + 1, growths, rebuild), x, v

    return Progress(states, np.full(replicas, np.nan), 0, allocated, first_rebuild), advance


def rebuild_interval(model: Model) -> tuple[int, float]:
    """Steps between two rebuilds of the neighbour lists, and the skin (nm) that this takes.

    The longer the interval, the thicker the skin and the more neighbours are looked at in vain:
    steps are such that (1 + skin/cutoff)^3 + `SEARCH`/steps is least. Without a cutoff there is
    nothing to look for, and no site goes too far.
    """

    def skin(steps):
        time = steps * model.time_step
        return 2 * FAR * model.equation.free_motion(model.bath, model.kT, time)

    def cost(steps):
        return (1 + skin(steps) / model.potential.reach) ** 3 + SEARCH / steps

    if not model.potential.reach:
        return LONGEST_REBUILD, math.inf
    steps = min(range(1, LONGEST_REBUILD + 1), key=cost)
    return steps, skin(steps)


def _require_sound(
    x: np.ndarray,
    number: int,
    steps: int,
    energies: Array,
    last: np.ndarray,
    start: SiteTrajectory,
) -> np.ndarray:
    """Raise DynmatchError when frames x (replicas, F, N, 3) are not finite or have exploded.

    A site that moves by more than half the box between two frames has left the liquid.
    Returns the energies (replicas,), kJ/mol, of the last frames.
    """
    energies = np.asarray(energies, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        way = np.abs(np.diff(x, axis=1)).max(axis=(2, 3))
        bad = ~np.isfinite(x[:, 1:]).all(axis=(2, 3)) | ~(way < 0.5 * np.min(start.box))
    if bad.any() or not np.isfinite(energies).all():
        replica = int(np.argmax(bad.any(axis=1) | ~np.isfinite(energies)))
        frame = int(np.argmax(bad[replica])) + 1 if bad[replica].any() else x.shape[1] - 1
        step = (number * x.shape[1] + frame + 1) * steps
        raise DynmatchError(
            f"the simulation of the model broke down before step {step} in replica {replica}: "
            f"energy {energies[replica]:.5g} kJ/mol, {x.shape[1] * steps} steps earlier "
            f"{last[replica]:.5g} kJ/mol; shorten the time step or train longer"
        )
    return energies
