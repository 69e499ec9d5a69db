r"""Windows of coarse-grained trajectory, and the gradient of a function of them.

A window is a set of frames separated by `lags`. Going forward, every lag is simulated in full.
Going back, the cotangent of a frame is carried through the last `gradient_steps` steps before that
frame only, scaled at every step by exp(-dt/t_d): trajectories are chaotic, and the undamped tangent
grows beyond any use within a picosecond. At the fixed point of the minimax game the cotangent
vanishes, so that damping does not move it.

Where the first lag is longer than that, the tangents of successive frames have nothing in common,
and the first frame, a start like any other, is given none. Where it is shorter they overlap: what a
change of the friction does before the first frame moves the second one as well, and but for the
damping only the difference counts. A window then begins with a lead-in, and every frame carries a
tangent.

Beside the positions at a frame, their mean over some time before it can be seen: displacements of
mean positions are free of the rattle of molecules in their cages, which in the all-atom system
makes the mean squared displacement at finite lags larger than 6 D t, and which a Markovian model
has no part in. The same is done to both sides.

Two properties of conservative forces make the way back cheap: the Hessian is symmetric, so that
the vector-Jacobian product of the force is a directional derivative of it, and the cotangent v_s
that arrives at the force of step s gives the gradient of the potential's parameters as
sum_s d(F(x_s).v_s)/dtheta, which is evaluated at every `parameter_stride`-th step only.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from dynmatch.dynamics.base import Equation, Values
from dynmatch.potentials.separations import separations
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import SiteTopology


@dataclass(frozen=True)
class RolloutPlan:
    """How windows are simulated; hashable, so that it can be static under jit.

    equation         of motion, with its time step
    potential        the potential's fixed part
    topology         of the sites
    kT               kJ/mol
    box              (3,) nm
    lag_steps        steps between successive frames of a window
    gradient_steps   steps before a frame that carry its gradient, a multiple of `rebuild`
    mean_steps       steps up to a frame over which its mean positions are taken
    damping_time     t_d, ps; infinity for none
    rebuild          steps between two searches for neighbours
    skin             nm beyond the reach of a term within which neighbours are found
    capacity         for each term, room for the neighbours of a site; None for all pairs
    parameter_stride steps between two contributions to the gradient of the potential
    chunk            windows advanced together by vmap; the others follow in sequence
    structure_only   the last frame of a window is all that is seen of it
    """

    equation: Equation
    potential: Potential
    topology: SiteTopology
    kT: float
    box: tuple[float, float, float]
    lag_steps: tuple[int, ...]
    gradient_steps: int
    damping_time: float
    rebuild: int = 10
    skin: float = 0.05
    capacity: tuple[int | None, ...] | None = None
    parameter_stride: int = 5
    chunk: int = 4
    structure_only: bool = False
    mean_steps: int = 1

    @cached_property
    def types(self) -> np.ndarray:
        """(N,) type of every site among those of the potential."""
        return self.topology.types_among(self.potential.names)

    @property
    def overlapping(self) -> bool:
        """Whether the tangents of the first two frames overlap: then both carry one."""
        return self.lag_steps[0] < self.gradient_steps

    @property
    def lead_in(self) -> int:
        """Steps before the first frame: for its tangent, and for its mean positions."""
        tangent = self.gradient_steps if self.overlapping else 0
        return max(tangent, self.mean_steps if self.mean_steps > 1 else 0)

    @property
    def frame_steps(self) -> np.ndarray:
        """Steps (T,) from the state a window continues to each of the T frames seen of it."""
        steps = self.lead_in + np.concatenate([[0], np.cumsum(self.lag_steps)])
        return steps[-1:] if self.structure_only else steps

    @property
    def carrying(self) -> slice:
        """The frames, of those that are seen of a window, that carry a tangent."""
        everyone = self.overlapping or self.structure_only
        return slice(None) if everyone else slice(1, None)


class Frames(NamedTuple):
    """What is seen of windows: positions (..., N, 3) nm at the frames, and their means over the
    last `mean_steps` steps before each."""

    positions: Array
    means: Array


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
            d -= box * np.round(d / box)
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


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conservative_force(plan, tables, positions, neighbours):
    box = jnp.asarray(plan.box)
    return plan.potential.force(tables, positions, box, plan.topology, neighbours)


def _force_forward(plan, tables, positions, neighbours):
    result = _conservative_force(plan, tables, positions, neighbours)
    return result, (tables, positions, neighbours)


def _force_backward(plan, saved, cotangent):
    tables, positions, neighbours = saved
    box = jnp.asarray(plan.box)
    along = jax.jvp(
        lambda x: plan.potential.force(tables, x, box, plan.topology, neighbours),
        (positions,),
        (cotangent,),
    )[1]
    return None, along, None


_conservative_force.defvjp(_force_forward, _force_backward)


def force_of(plan: RolloutPlan, tables: tuple, neighbours: tuple, push: Array) -> Callable:
    """Forces (N, 3) as a function of positions (N, 3).

    `push` (N, 3) is added to them: its cotangent is the one that reaches the force.
    """
    return lambda positions: _conservative_force(plan, tables, positions, neighbours) + push


def step(plan: RolloutPlan, values: Values, tables, neighbours, push, state):
    """`state` one time step later."""
    force = force_of(plan, tables, neighbours, push)
    return plan.equation.step(values, plan.kT, plan.types, force, state)


def start(plan: RolloutPlan, values: Values, tables: tuple, key: Array, positions: Array):
    """States of W windows from keys (W,) and positions (W, N, 3)."""

    def one(pair):
        key, x = pair
        neighbours, _ = neighbours_of(plan, x)
        force = force_of(plan, tables, neighbours, jnp.zeros_like(x))
        return plan.equation.init(values, plan.kT, plan.types, force, key, x)

    return lax.map(one, (key, positions))


def simulate_windows(plan: RolloutPlan, values: Values, tables: tuple, states):
    """Continue W states over one window each.

    Returns the states at the end, the `Frames` (W, T, N, 3), and the states (W, C, ...)
    `gradient_steps` before each of the C frames `plan.carrying`, from which `pull_back` starts.
    """
    befores = plan.frame_steps[plan.carrying] - plan.gradient_steps
    averaging = plan.mean_steps > 1
    opened = plan.frame_steps - (plan.mean_steps if averaging else 0)
    stops = np.unique(np.concatenate([[0], plan.frame_steps, befores, opened]))

    def one(first):
        def advance(carried, steps):
            def block(number, carried):
                neighbours, fault = neighbours_of(plan, carried[0].position)
                push = jnp.zeros_like(first.position) + fault
                count = jnp.minimum(plan.rebuild, steps - number * plan.rebuild)

                def advanced(_, carried):
                    state, moved = carried
                    state = step(plan, values, tables, neighbours, push, state)
                    return state, moved + (state.position - first.position)

                return lax.fori_loop(0, count, advanced, carried)

            carried = lax.fori_loop(0, -(-steps // plan.rebuild), block, carried)
            return carried, carried

        # one loop over all stops, so that the force is compiled once
        begin = (first, jnp.zeros_like(first.position))
        (last, _), later = lax.scan(advance, begin, jnp.asarray(np.diff(stops)))
        visited, moved = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), begin, later)
        at = lambda steps: np.searchsorted(stops, steps)  # noqa: E731
        positions = visited.position[at(plan.frame_steps)]
        means = positions
        if averaging:
            during = moved[at(plan.frame_steps)] - moved[at(opened)]
            means = first.position + during / plan.mean_steps
        return last, Frames(positions, means), jax.tree.map(lambda a: a[at(befores)], visited)

    return lax.map(one, states, batch_size=min(plan.chunk, states.position.shape[0]))


def pull_back(
    plan: RolloutPlan,
    values: Values,
    tabulate: Callable[[dict], tuple],
    parameters: dict,
    befores,
    for_dynamics: Frames,
    for_potential: Frames,
) -> tuple[dict, dict]:
    """Gradients of sum(frames * for_dynamics) with respect to the values of the dynamics, and of
    sum(frames * for_potential) with respect to the parameters of the potential.

    befores       states (W, C, ...) of `simulate_windows`
    for_dynamics  cotangents (W, C, N, 3) of the `Frames` `plan.carrying`
    for_potential the same
    tabulate      parameters -> tables
    """
    tables, tabulate_vjp = jax.vjp(tabulate, parameters)
    damping = jnp.exp(-plan.equation.time_step / plan.damping_time)
    blocks = plan.gradient_steps // plan.rebuild

    def replay(values, push, state):
        def block(state, push):
            neighbours, _ = neighbours_of(plan, lax.stop_gradient(state.position))

            def damped(state, push):
                state = jax.tree.map(partial(_damped, damping), state)
                state = step(plan, values, tables, neighbours, push, state)
                return state, state.position

            state, visited = lax.scan(damped, state, push)
            return state, (visited, neighbours)

        state, (visited, neighbours) = lax.scan(block, state, push)
        averaged = visited.reshape((-1, *state.position.shape))[-plan.mean_steps :]
        # steps of the mean that lie before the replayed ones carry no tangent
        seen = Frames(state.position, jnp.sum(averaged, 0) / plan.mean_steps)
        return seen, (visited[:, plan.parameter_stride // 2 :: plan.parameter_stride], neighbours)

    def one(segment):
        state, cotangents = segment
        shape = (blocks, plan.rebuild, *state.position.shape)
        _, pull, (visited, neighbours) = jax.vjp(
            lambda d, p: replay(d, p, state), values, jnp.zeros(shape), has_aux=True
        )
        (d_values, d_push) = jax.vmap(pull)(cotangents)
        d_values = jax.tree.map(lambda a: a[0], d_values)
        d_push = d_push[1]
        sampled = d_push[:, plan.parameter_stride // 2 :: plan.parameter_stride]
        return d_values, _tables_cotangent(plan, tables, visited, sampled, neighbours)

    cotangents = jax.tree.map(lambda a, b: jnp.stack([a, b], 2), for_dynamics, for_potential)
    flat = jax.tree.map(
        lambda a: a.reshape((-1, *a.shape[2:])), (lax.stop_gradient(befores), cotangents)
    )
    segments = flat[1].positions.shape[0]
    gradients = lax.map(one, flat, batch_size=min(plan.chunk, segments))
    d_values, d_tables = jax.tree.map(lambda a: jnp.sum(a, 0), gradients)
    return d_values, tabulate_vjp(d_tables)[0]


def _damped(damping, x):
    """Identity whose cotangent is scaled by `damping`; integer leaves (the key) pass."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return damping * x + (1.0 - damping) * lax.stop_gradient(x)


def _tables_cotangent(plan, tables, visited, cotangents, neighbours):
    """parameter_stride * sum_s d(F(x_s).v_s)/dtables, by F.v = -dU(x + eps v)/deps."""
    box = jnp.asarray(plan.box)

    def work(tables):
        def one(x, v, lists):
            u = lambda y: plan.potential.energy(tables, y, box, plan.topology, lists)  # noqa: E731
            return jax.jvp(u, (x,), (v,))[1]

        per_block = jax.vmap(jax.vmap(one, in_axes=(0, 0, None)))
        return -plan.parameter_stride * jnp.sum(per_block(visited, cotangents, neighbours))

    return jax.grad(work)(tables)
