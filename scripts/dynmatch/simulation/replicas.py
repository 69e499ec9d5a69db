"""The motion of a trained model: several independent replicas side by side, watched for trouble."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials.neighbour_lists import Capacity, NeighbourLists
from dynmatch.runtime.sharding import devices_for, placed, spread
from dynmatch.sites.box import heights
from dynmatch.sites.topology import SiteTopology
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


class Chunk(NamedTuple):
    """A chunk as it went.

    states    of the replicas after it
    enough    (devices,) whether the neighbour lists had room
    kept      (devices,) whether no site outran the skin
    seen      positions (replicas, frames, N, 3), nm, and velocities, nm/ps, or None
    energies  (replicas,) of the last frame, kJ/mol
    """

    states: Any
    enough: Array
    kept: Array
    seen: tuple[Array, Array | None]
    energies: Array


class _Carried(NamedTuple):
    """From block to block: states, neighbours of each term, and `enough` and `kept` of a chunk."""

    states: Any
    near: tuple
    enough: Array
    kept: Array


@dataclass(frozen=True, eq=False)
class Replicas:
    """Replicas of a model, shared out to all of JAX's devices, and how they go on by a chunk.

    Frames are `steps` time steps apart, `frames` of them a chunk. Within a frame, the lists are
    made anew for each block of steps.

    model         the model
    topology      of the sites
    box           nm, see `sites.box`
    positions     (replicas, N, 3) nm, where they begin
    coefficients  of a step
    tables        of the potential
    lists         the neighbour lists
    rebuild       steps between two rebuilds of the lists, as far as no site outruns the skin
    skin          nm that sites may go, two of them together, before the lists are made anew
    capacities    those that the lists have had, by their growths
    """

    model: Model
    topology: SiteTopology
    box: np.ndarray
    positions: Array
    coefficients: Any
    tables: tuple
    lists: NeighbourLists
    rebuild: int
    skin: float
    steps: int
    frames: int
    capacities: dict[int, Capacity] = field(default_factory=dict)

    @classmethod
    def of(
        cls, model: Model, start: SiteTrajectory, count: int, steps: int, frames: int
    ) -> "Replicas":
        """`count` replicas that begin at frames of `start`.

        Raises DynmatchError where the model does not know the sites.
        """
        model.potential.require(start.topology)
        types = start.topology.types_among(model.potential.names)
        rebuild, skin = rebuild_interval(model)
        return cls(
            model=model,
            topology=start.topology,
            box=start.box,
            positions=jnp.asarray(first_frames(start, count).positions, jnp.float32),
            coefficients=model.equation.prepare(model.bath, model.kT, types),
            tables=model.potential.tabulate(model.parameters),
            lists=NeighbourLists(model.potential, start.box, start.n_sites, skin),
            rebuild=rebuild,
            skin=skin,
            steps=steps,
            frames=frames,
        )

    def begin(self, seed: int) -> Progress:
        """The beginning of a run."""
        count = len(self.positions)
        keys = random.split(random.PRNGKey(seed), count)
        near, _ = self.lists.update(self.capacity(0), self.positions)
        states = jax.jit(jax.vmap(self._init))(keys, self.positions, near)
        return Progress(states, np.full(count, np.nan), 0, 0, self.rebuild)

    def advance(self, progress: Progress) -> tuple[Progress, np.ndarray, np.ndarray | None]:
        """A chunk later: positions (replicas, frames, N, 3), nm, and their velocities, nm/ps, where
        the dynamics has any, or None.

        Raises DynmatchError, naming step, replica and energy, when a replica leaves the realm of
        numbers or explodes.
        """
        chunk, growths, rebuild = self.sufficient(progress)
        x, v = (each if each is None else np.asarray(each) for each in chunk.seen)
        energies = self.require_sound(x, progress, chunk.energies)
        return Progress(chunk.states, energies, progress.done + 1, growths, rebuild), x, v

    def sufficient(self, progress: Progress) -> tuple[Chunk, int, int]:
        """The next chunk, with lists that have room and are made anew often enough, and the growths
        and the rebuild that this takes."""
        states = placed(progress.states, self._mesh, split=True)
        growths, rebuild = progress.growths, progress.rebuild
        while True:
            chunk = self._compiled(rebuild, self.capacity(growths), states)
            exploded = not np.isfinite(np.asarray(chunk.states.position)).all()
            if exploded or (chunk.enough.all() and (chunk.kept.all() or rebuild == 1)):
                return chunk, growths, rebuild
            if not chunk.enough.all():
                logging.info("a neighbour list overflowed; allocating larger ones")
                growths += 1
            else:
                rebuild = max(1, rebuild // 2)
                logging.info("a site outran the skin; rebuilding every %d steps", rebuild)

    def capacity(self, growths: int) -> Capacity:
        """Room in the lists after that many growths."""
        if growths not in self.capacities:
            self.capacities[growths] = self.lists.capacity(self.positions, growths)
        return self.capacities[growths]

    def chunk(self, rebuild: int, capacity: Capacity, states: Any) -> Chunk:
        """`frames` frames, with lists of this `capacity`, made anew every `rebuild` steps."""
        yes = jnp.bool_(True)
        # no lists yet: every block begins with new ones, and the last serve for the energies
        shapes, _ = jax.eval_shape(partial(self.lists.update, capacity), states.position)
        near = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        (states, near, enough, kept), seen = lax.scan(
            lambda carried, _: self._frame(rebuild, capacity, carried),
            _Carried(states, near, yes, yes),
            None,
            length=self.frames,
        )
        energies = jax.vmap(self._energy)(states.position, near)
        seen = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), seen)
        return Chunk(states, enough[None], kept[None], seen, energies)

    @cached_property
    def _farthest(self) -> float:
        """Way along an axis between two frames, nm, that no site of a liquid goes."""
        model = self.model
        time = self.steps * model.time_step
        free = model.equation.free_motion(model.bath, model.kT, time)
        return max(0.5 * float(np.min(heights(self.box))), FAR * free)

    def require_sound(self, x: np.ndarray, before: Progress, energies: Array) -> np.ndarray:
        """Raise DynmatchError when frames x (replicas, F, N, 3) of the chunk after `before` are not
        finite or have exploded.

        A site that moves by more than half the box between two frames has left the liquid, unless
        it may diffuse as far.
        Returns the energies (replicas,), kJ/mol, of the last frames.
        """
        energies = np.asarray(energies, np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            way = np.abs(np.diff(x, axis=1)).max(axis=(2, 3))
            bad = ~np.isfinite(x[:, 1:]).all(axis=(2, 3)) | ~(way < self._farthest)
        if bad.any() or not np.isfinite(energies).all():
            replica = int(np.argmax(bad.any(axis=1) | ~np.isfinite(energies)))
            frame = int(np.argmax(bad[replica])) + 1 if bad[replica].any() else x.shape[1] - 1
            step = (before.done * x.shape[1] + frame + 1) * self.steps
            raise DynmatchError(
                f"the simulation of the model broke down before step {step} in replica {replica}: "
                f"energy {energies[replica]:.5g} kJ/mol, {x.shape[1] * self.steps} steps earlier "
                f"{before.energies[replica]:.5g} kJ/mol; shorten the time step or train longer"
            )
        return energies

    @cached_property
    def _mesh(self):
        return devices_for(len(self.positions))

    @cached_property
    def _compiled(self) -> Callable[[int, Capacity, Any], Chunk]:
        """`chunk`, each device computing its share of the replicas."""

        @partial(jax.jit, static_argnums=(0, 1))
        def shared(rebuild, capacity, states):
            return spread(partial(self.chunk, rebuild, capacity), self._mesh, (True,))(states)

        return shared

    def _frame(self, rebuild: int, capacity: Capacity, carried: _Carried):
        """What is carried `steps` steps later, and positions and velocities there."""
        block = partial(self._block, rebuild, capacity)
        carried = lax.fori_loop(0, math.ceil(self.steps / rebuild), block, carried)
        velocity = partial(self.model.equation.velocity, self.coefficients)
        return carried, (carried.states.position, jax.vmap(velocity)(carried.states))

    def _block(self, rebuild: int, capacity: Capacity, number: Array, carried: _Carried):
        """The steps of block `number` of a frame, all with the same lists."""
        states, _, enough, kept = carried
        length = jnp.minimum(rebuild, self.steps - number * rebuild)
        near, fits = self.lists.update(capacity, states.position)
        before = states.position
        states = lax.fori_loop(0, length, lambda _, s: jax.vmap(self._step)(s, near), states)
        way = jnp.max(jnp.sum((states.position - before) ** 2, -1))
        return _Carried(states, near, enough & fits, kept & (way < (0.5 * self.skin) ** 2))

    def _init(self, key: Array, x: Array, near: tuple):
        return self.model.equation.init(self.coefficients, self._force_with(near), key, x)

    def _step(self, state: Any, near: tuple):
        return self.model.equation.step(self.coefficients, self._force_with(near), state)

    def _force_with(self, near: tuple) -> Callable[[Array], Array]:
        box = jnp.asarray(self.box, jnp.float32)
        return lambda x: self.model.potential.force(self.tables, x, box, self.topology, near)

    def _energy(self, x: Array, near: tuple) -> Array:
        box = jnp.asarray(self.box, jnp.float32)
        return self.model.potential.energy(self.tables, x, box, self.topology, near)


def first_frames(start: SiteTrajectory, count: int) -> SiteTrajectory:
    """Those of `start` that `count` replicas begin at, evenly spread over it."""
    return start.frames(np.linspace(0, start.n_frames - 1, count).astype(int))


def propagator(
    model: Model, start: SiteTrajectory, replicas: int, steps: int, frames: int, seed: int
) -> tuple[Progress, Callable]:
    """The beginning of a run from frames of `start`, and the function that continues it by a chunk,
    see `Replicas.advance`."""
    run = Replicas.of(model, start, replicas, steps, frames)
    return run.begin(seed), run.advance


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
