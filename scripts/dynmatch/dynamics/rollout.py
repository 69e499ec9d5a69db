r"""Windows of coarse-grained trajectory, and how they move with the parameters of the dynamics.

A window is a set of frames separated by `lags`. Beside the positions at a frame, their mean over
some time before it can be seen: displacements of mean positions are free of the rattle of molecules
in their cages, which in the all-atom system makes the mean squared displacement at finite lags
larger than 6 D t, and which a Markovian model has no part in. The same is done to both sides.

Every frame carries its tangents, d(position)/d ln(value) for each learned value of the dynamics,
along the simulation with the forces held fixed. They need no second pass, no Hessian and no memory
that grows with the window, and there is no chaos in them: they grow as the displacements do. Left
out is how the displacement of the sites changes the forces on them. For scores of displacements, as
those of the classifier, that part has mean zero in equilibrium: it is a time integral of the
correlation of a force that is odd in time with a function that is even. What is left of it where
the distribution is not the equilibrium one is measured in docs/method.md.

With the forces fixed, what moves a site depends on the values of its own type alone. One tangent a
value therefore serves all types: that of type a is the tangent of its sites.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from dynmatch.dynamics.base import Equation, Values
from dynmatch.potentials.separations import separations
from dynmatch.potentials.sum import Potential
from dynmatch.sites.box import minimum_image
from dynmatch.sites.topology import SiteTopology


@dataclass(frozen=True)
class RolloutPlan:
    """How windows are simulated; hashable, so that it can be static under jit.

    equation    of motion, with its time step
    potential   the potential's fixed part
    topology    of the sites
    kT          kJ/mol
    box         edges or vectors, nm, see `sites.box`; nested tuples
    lag_steps   steps between successive frames of a window
    mean_steps  steps up to a frame over which its mean positions are taken
    skipped     steps before the first frame, which nothing is seen of
    learned     names of the values whose tangents are carried, in the order of the tangents
    rebuild     steps between two searches for neighbours
    skin        nm beyond the reach of a term within which neighbours are found
    capacity    for each term, room for the neighbours of a site; None for all pairs
    chunk       windows advanced together by vmap; the others follow in sequence
    """

    equation: Equation
    potential: Potential
    topology: SiteTopology
    kT: float
    box: tuple
    lag_steps: tuple[int, ...]
    mean_steps: int = 1
    skipped: int = 0
    learned: tuple[str, ...] = ()
    rebuild: int = 10
    skin: float = 0.05
    capacity: tuple[int | None, ...] | None = None
    chunk: int = 4

    @cached_property
    def types(self) -> np.ndarray:
        """(N,) type of every site among those of the potential."""
        return self.topology.types_among(self.potential.names)

    @property
    def frame_steps(self) -> np.ndarray:
        """Steps (T,) from the state a window continues to each of its T frames. The first lies
        where its mean positions are complete."""
        lead_in = self.skipped + (self.mean_steps if self.mean_steps > 1 else 0)
        return lead_in + np.concatenate([[0], np.cumsum(self.lag_steps)]).astype(int)


class Frames(NamedTuple):
    """What is seen of windows: positions (..., T, N, 3) nm at the frames, their means over the last
    `mean_steps` steps before each, and the tangents (..., P, T, N, 3) nm of the means, if any."""

    positions: Array
    means: Array
    tangents: Array | None


def with_capacity(plan: RolloutPlan, frames: np.ndarray, margin: float) -> RolloutPlan:
    """`plan` with room for `margin` times the most neighbours that a site has in a hundred of the
    `frames` (F, N, 3), nm. The pair term takes all pairs."""
    box, some = np.asarray(plan.box), frames[:: max(1, len(frames) // 100)]
    capacity = []
    for term in plan.potential.terms:
        if not term.reach or term.all_pairs_up_to:
            capacity.append(None)
            continue
        most = 0
        for frame in some:
            d = frame[:, None] - frame[None]
            d[...] = minimum_image(d, box)
            within = np.sum(np.sum(d * d, -1) < (term.reach + plan.skin) ** 2, -1) - 1
            most = max(most, int(within.max()))
        capacity.append(min(math.ceil(margin * most), frames.shape[1] - 1))
    return replace(plan, capacity=tuple(capacity))


def neighbours_of(plan: RolloutPlan, positions: Array) -> tuple[tuple, Array]:
    """Neighbours for each term, and 0, or NaN where a site has more than there is room for.

    The number is to be added to the forces: a list that is too short must not go unnoticed.
    """
    if plan.capacity is None or not any(plan.capacity):
        return plan.potential.all_pairs, jnp.float32(0.0)
    n = positions.shape[0]
    sites = jnp.arange(n)
    _, s = separations(positions, jnp.asarray(plan.box), None)
    found, fault = [], jnp.bool_(False)
    for term, room in zip(plan.potential.terms, plan.capacity, strict=True):
        if room is None:
            found.append(None)
            continue
        near = s < (term.reach + plan.skin) ** 2
        count = jnp.cumsum(near, 0)
        found.append(
            jnp.full((room, n), n)
            .at[jnp.where(near, count - 1, room), sites]
            .set(sites[:, None], mode="drop")
        )
        fault |= jnp.any(count[-1] > room)
    return tuple(found), jnp.where(fault, jnp.nan, 0.0)


def fixed_force(plan: RolloutPlan, tables: tuple, neighbours: tuple, fault: Array) -> Callable:
    """Forces (N, 3) as a function of positions (N, 3), without a derivative."""

    def force(positions):
        x, box = lax.stop_gradient(positions), jnp.asarray(plan.box)
        return plan.potential.force(tables, x, box, plan.topology, neighbours) + fault

    return force


def start(plan: RolloutPlan, values: Values, tables: tuple, key: Array, positions: Array):
    """States of W windows from keys (W,) and positions (W, N, 3)."""
    coefficients = plan.equation.prepare(values, plan.kT, plan.types)

    def one(pair):
        key, x = pair
        force = fixed_force(plan, tables, *neighbours_of(plan, x))
        return plan.equation.init(coefficients, force, key, x)

    return lax.map(one, (key, positions))


class _Carried(NamedTuple):
    """A state with its tangents by field (P, ...), and the sums of displacements and of their
    tangents over the steps so far. None where nothing is learned."""

    state: Any
    tangents: dict[str, Array] | None
    moved: Array
    moved_tangents: Array | None

    @property
    def seen(self) -> tuple:
        """Position and its tangents, and their sums."""
        tangents = self.tangents and self.tangents["position"]
        return (self.state.position, tangents), (self.moved, self.moved_tangents)


def simulate_windows(plan: RolloutPlan, values: Values, tables: tuple, states):
    """Continue W states over one window each: the states at the end, and the `Frames` (W, ...)."""
    averaging = plan.mean_steps > 1
    opened = plan.frame_steps - (plan.mean_steps if averaging else 0)
    stops = np.unique(np.concatenate([[0], plan.frame_steps, opened]))
    coefficients = _coefficients(plan, values)
    closed, opened = (np.searchsorted(stops, steps) for steps in (plan.frame_steps, opened))

    def one(first):
        def advance(carried, steps):
            def block(number, carried):
                force = fixed_force(plan, tables, *neighbours_of(plan, carried.state.position))
                count = jnp.minimum(plan.rebuild, steps - number * plan.rebuild)

                def step(_, carried):
                    return _step(plan, coefficients, force, first.position, carried)

                return lax.fori_loop(0, count, step, carried)

            carried = lax.fori_loop(0, -(-steps // plan.rebuild), block, carried)
            return carried, carried.seen

        # one loop over all stops, so that the force is compiled once
        begin = _beginning(plan, values, first)
        last, later = lax.scan(advance, begin, jnp.asarray(np.diff(stops)))
        now, sums = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), begin.seen, later)
        positions, tangents = jax.tree.map(lambda a: a[closed], now)
        means = positions
        if averaging:
            during, tangents = jax.tree.map(
                lambda a: (a[closed] - a[opened]) / plan.mean_steps, sums
            )
            means = first.position + during
        if tangents is not None:
            tangents = jnp.swapaxes(tangents, 0, 1)
        return last.state, Frames(positions, means, tangents)

    return lax.map(one, states, batch_size=min(plan.chunk, states.position.shape[0]))


def _beginning(plan: RolloutPlan, values: Values, state) -> _Carried:
    """Of a state at equilibrium: positions do not depend on the dynamics, momenta may."""
    nothing = jnp.zeros_like(state.position)
    if not plan.learned:
        return _Carried(state, None, nothing, None)
    given = plan.equation.start_tangents(state)
    tangents = {}
    for field in plan.equation.moving:
        none = jnp.zeros_like(getattr(state, field))
        rows = [
            given.get((field, name), none)
            for name in plan.learned
            for _ in range(_numbers(values[name]))
        ]
        tangents[field] = jnp.stack(rows)
    return _Carried(state, tangents, nothing, jnp.zeros_like(tangents["position"]))


class _Coefficients(NamedTuple):
    """Of a step, and their tangents (P, ...)."""

    value: Any
    tangents: Any


def _coefficients(plan: RolloutPlan, values: Values) -> _Coefficients:
    def prepare(changes):
        changed = {name: values[name] * jnp.exp(change) for name, change in changes.items()}
        return plan.equation.prepare({**values, **changed}, plan.kT, plan.types)

    if not plan.learned:
        return _Coefficients(prepare({}), None)
    none = {name: jnp.zeros_like(values[name]) for name in plan.learned}
    value, along = jax.linearize(prepare, none)
    return _Coefficients(value, jax.vmap(along)(directions(none)))


def directions(none: dict[str, Array]) -> dict[str, Array]:
    """Unit changes (P, ...) of the logarithms of values: of one number each, of all types together.

    `none` are zeros of the values' shapes, (), (T,) or (T, K); of the last, each of K has its own.
    """
    owners = [(name, k) for name, value in none.items() for k in range(_numbers(value))]
    return {
        name: jnp.stack(
            [
                jnp.full_like(value, owner == name)
                if value.ndim < 2
                else jnp.full_like(value, owner == name) * (jnp.arange(value.shape[1]) == k)
                for owner, k in owners
            ]
        )
        for name, value in none.items()
    }


def _numbers(value: Array) -> int:
    return value.shape[1] if value.ndim == 2 else 1


def _step(
    plan: RolloutPlan, coefficients: _Coefficients, force: Callable, origin: Array, carried
) -> _Carried:
    """One step of a state and of its tangents, the forces fixed."""
    state = carried.state

    def step(coefficients, moving):
        after = plan.equation.step(coefficients, force, state.set(**moving))
        return {field: getattr(after, field) for field in plan.equation.moving}, after

    moving = {field: getattr(state, field) for field in plan.equation.moving}
    tangents = carried.tangents
    if plan.learned:
        _, along, after = jax.linearize(step, coefficients.value, moving, has_aux=True)
        tangents = jax.vmap(along)(coefficients.tangents, tangents)
    else:
        _, after = step(coefficients.value, moving)
    moved, moved_tangents = carried.moved, carried.moved_tangents
    if plan.mean_steps > 1:
        moved = moved + (after.position - origin)
        moved_tangents = tangents and moved_tangents + tangents["position"]
    return _Carried(after, tangents, moved, moved_tangents)
