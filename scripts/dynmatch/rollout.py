r"""Windows of coarse-grained trajectory, and the gradient of a function of them.

A window is a set of frames separated by `lags`. Going forward, every lag is simulated in full.
Going back, the cotangent of a frame is carried through the last `gradient_steps` steps before that
frame only, scaled at every step by exp(-dt/t_d): trajectories are chaotic, and the undamped tangent
grows beyond any use within a picosecond. At the fixed point of the minimax game the cotangent
vanishes, so that damping does not move it.

Two properties of conservative forces make the way back cheap: the Hessian is symmetric, so that
the vector-Jacobian product of the force is a directional derivative of it, and the cotangent v_s
that arrives at the force of step s gives the gradient of the potential's parameters as
sum_s d(F(x_s).v_s)/dtheta, which is evaluated at every `parameter_stride`-th step only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from dynmatch import dynamics as engine
from dynmatch import potential
from dynmatch.dynamics import Dynamics
from dynmatch.potential import Neighbours, PotentialForm, Tables


@dataclass(frozen=True)
class RolloutPlan:
    """How windows are simulated; hashable, so that it can be static under jit.

    kind             "bd" or "ld"
    form             the potential's fixed part
    kT               kJ/mol
    box              (3,) nm
    time_step        ps
    lag_steps        steps between successive frames of a window
    gradient_steps   steps before each frame that carry gradient, a multiple of `rebuild`
    damping_time     t_d, ps; infinity for none
    rebuild          steps between two searches for the nearest neighbours of the three-body term
    neighbours       number of nearest neighbours kept for the three-body term; 0 for all pairs
    parameter_stride steps between two contributions to the gradient of the potential
    chunk            windows advanced together by vmap; the others follow in sequence
    """

    kind: str
    form: PotentialForm
    kT: float
    box: tuple[float, float, float]
    time_step: float
    lag_steps: tuple[int, ...]
    gradient_steps: int
    damping_time: float
    rebuild: int = 10
    neighbours: int = 0
    parameter_stride: int = 5
    chunk: int = 4


def nearest(plan: RolloutPlan, positions: Array) -> Neighbours:
    """The `plan.neighbours` nearest sites of each site, for the three-body term."""
    if plan.neighbours == 0:
        return potential.ALL_PAIRS
    _, s = potential._separations(positions, jnp.asarray(plan.box), None)
    return Neighbours(None, lax.top_k(-s.T, plan.neighbours)[1].T)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _conservative_force(plan, tables, positions, neighbours):
    return potential.force(plan.form, tables, positions, jnp.asarray(plan.box), neighbours)


def _force_forward(plan, tables, positions, neighbours):
    result = _conservative_force(plan, tables, positions, neighbours)
    return result, (tables, positions, neighbours)


def _force_backward(plan, saved, cotangent):
    tables, positions, neighbours = saved
    box = jnp.asarray(plan.box)
    along = jax.jvp(
        lambda x: potential.force(plan.form, tables, x, box, neighbours), (positions,), (cotangent,)
    )[1]
    return None, along, None


_conservative_force.defvjp(_force_forward, _force_backward)


def make_generator(plan: RolloutPlan) -> engine.Generator:
    """The generator of `plan` with force keywords tables, neighbours and push.

    `push` (N, 3) is added to the force: its cotangent is the one that reaches the force.
    """

    def force(positions, tables, neighbours, push):
        return _conservative_force(plan, tables, positions, neighbours) + push

    return engine.generator(plan.kind, force, plan.time_step, plan.kT)


def start(plan: RolloutPlan, dynamics: Dynamics, tables: Tables, key: Array, positions: Array):
    """States of W windows from keys (W,) and positions (W, N, 3)."""
    generator = make_generator(plan)

    def one(pair):
        key, x = pair
        return generator.init(
            dynamics, key, x, tables=tables, neighbours=nearest(plan, x), push=jnp.zeros_like(x)
        )

    return lax.map(one, (key, positions))


def simulate_windows(plan: RolloutPlan, dynamics: Dynamics, tables: Tables, states):
    """Continue W states over one window each.

    Returns the states at the end, the frames (W, lags + 1, N, 3) with the start included, and the
    states (W, lags, ...) `gradient_steps` before each frame, from which `pull_back` starts.
    """
    generator = make_generator(plan)
    # one loop for all lags, so that the force is compiled once
    lengths = [(steps - plan.gradient_steps, plan.gradient_steps) for steps in plan.lag_steps]

    def advance(state, steps):
        def block(number, state):
            kwargs = dict(
                tables=tables,
                neighbours=nearest(plan, state.position),
                push=jnp.zeros_like(state.position),
            )
            count = jnp.minimum(plan.rebuild, steps - number * plan.rebuild)
            return lax.fori_loop(
                0, count, lambda _, s: generator.step(dynamics, s, **kwargs), state
            )

        state = lax.fori_loop(0, -(-steps // plan.rebuild), block, state)
        return state, state

    def one(state):
        first = state.position
        state, stops = lax.scan(advance, state, jnp.asarray(lengths).reshape(-1))
        befores = jax.tree.map(lambda a: a[0::2], stops)
        return state, jnp.concatenate([first[None], stops.position[1::2]]), befores

    return lax.map(one, states, batch_size=min(plan.chunk, states.position.shape[0]))


def pull_back(
    plan: RolloutPlan,
    dynamics: Dynamics,
    tabulate: Callable[[dict], Tables],
    parameters: dict,
    befores,
    for_dynamics: Array,
    for_potential: Array,
) -> tuple[Dynamics, dict]:
    """Gradients of sum(frames * for_dynamics) with respect to the dynamics, and of
    sum(frames * for_potential) with respect to the parameters of the potential.

    befores       states (W, lags, ...) of `simulate_windows`
    for_dynamics  cotangents (W, lags, N, 3) of every frame but the first
    for_potential the same
    tabulate      parameters -> Tables
    """
    generator = make_generator(plan)
    tables, tabulate_vjp = jax.vjp(tabulate, parameters)
    damping = jnp.exp(-plan.time_step / plan.damping_time)
    blocks = plan.gradient_steps // plan.rebuild

    def replay(dynamics, push, state):
        def block(state, push):
            neighbours = nearest(plan, lax.stop_gradient(state.position))

            def step(state, push):
                state = jax.tree.map(partial(_damped, damping), state)
                state = generator.step(
                    dynamics, state, tables=tables, neighbours=neighbours, push=push
                )
                return state, state.position

            state, visited = lax.scan(step, state, push)
            sampled = slice(plan.parameter_stride // 2, None, plan.parameter_stride)
            return state, (visited[sampled], neighbours)

        state, along = lax.scan(block, state, push)
        return state.position, along

    def one(segment):
        state, cotangents = segment
        shape = (blocks, plan.rebuild, *state.position.shape)
        _, pull, (visited, neighbours) = jax.vjp(
            lambda d, p: replay(d, p, state), dynamics, jnp.zeros(shape), has_aux=True
        )
        (d_dynamics, d_push) = jax.vmap(pull)(cotangents)
        d_dynamics = jax.tree.map(lambda a: a[0], d_dynamics)
        d_push = d_push[1]
        sampled = d_push[:, plan.parameter_stride // 2 :: plan.parameter_stride]
        return d_dynamics, _tables_cotangent(plan, tables, visited, sampled, neighbours)

    cotangents = jnp.stack([for_dynamics, for_potential], 2)
    flat = jax.tree.map(
        lambda a: a.reshape((-1, *a.shape[2:])), (lax.stop_gradient(befores), cotangents)
    )
    gradients = lax.map(one, flat, batch_size=min(plan.chunk, flat[1].shape[0]))
    d_dynamics, d_tables = jax.tree.map(lambda a: jnp.sum(a, 0), gradients)
    return d_dynamics, tabulate_vjp(d_tables)[0]


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
            u = lambda y: potential.energy(plan.form, tables, y, box, lists)  # noqa: E731
            return jax.jvp(u, (x,), (v,))[1]

        per_block = jax.vmap(jax.vmap(one, in_axes=(0, 0, None)))
        return -plan.parameter_stride * jnp.sum(per_block(visited, cotangents, neighbours))

    return jax.grad(work)(tables)
