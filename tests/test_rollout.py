"""Windows, and the gradient pulled back through them: finite differences and closed forms."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fluids import jittered_lattice, random_parameters

from dynmatch import potential, rollout
from dynmatch.dynamics import Dynamics
from dynmatch.potential import PotentialForm
from dynmatch.rollout import RolloutPlan

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = PotentialForm(
    cutoff=0.6,
    three_body_cutoff=0.55,
    core=0.25,
    thermal_energy=2.5,
    pair_basis=10,
    radial_channels=1,
    hidden=(3,),
)
EDGE = 1.25
SITES = 12
WINDOWS = 2
PLAN = RolloutPlan(
    kind="bd",
    form=FORM,
    kT=2.5,
    box=(EDGE,) * 3,
    time_step=0.004,
    lag_steps=(10,),
    gradient_steps=10,
    damping_time=float("inf"),
    rebuild=5,
    neighbours=0,
    parameter_stride=1,
    chunk=2,
)

simulate = jax.jit(rollout.simulate_windows, static_argnums=0)
start = jax.jit(rollout.start, static_argnums=0)
pull_back = jax.jit(rollout.pull_back, static_argnums=(0, 2))


@jax.jit
def tabulate(parameters):
    return potential.tabulate(FORM, parameters)


@pytest.fixture(scope="module")
def parameters(double_precision):
    return random_parameters(FORM, 1)


@pytest.fixture(scope="module")
def tables(parameters):
    return tabulate(parameters)


@pytest.fixture(scope="module")
def dynamics(double_precision):
    return Dynamics(gamma=jnp.float64(300.0), alpha=jnp.float64(1.3), mass=jnp.float64(30.0))


def first_states(plan, dynamics, tables):
    """Each window from its own sites on a jittered lattice that fills the box, and its own key."""
    rng = np.random.default_rng(2)
    edge = plan.box[0]
    positions = [jittered_lattice(rng, edge, 0.064 * edge)[:SITES] for _ in range(WINDOWS)]
    return start(
        plan, dynamics, tables, jax.random.split(jax.random.key(3), WINDOWS), np.stack(positions)
    )


def random_cotangents(plan) -> np.ndarray:
    return np.random.default_rng(4).normal(size=(WINDOWS, len(plan.lag_steps), SITES, 3))


def inner(a, b) -> float:
    """Scalar product of two trees of arrays."""
    return float(sum(jax.tree.leaves(jax.tree.map(lambda x, y: np.sum(x * y), a, b))))


@pytest.mark.parametrize("kind, neighbours", [("bd", 0), ("ld", 8)])
def test_gradient_is_the_finite_difference_of_the_window(
    kind, neighbours, dynamics, parameters, tables
):
    """Along gamma, alpha, mass, and a random direction in each group of potential parameters.

    Undamped, through one whole lag, from states that are given. Eight neighbours are all within
    the three-body cutoff; with fewer, forces are not conservative and the gradient is inexact.
    Steps of 1e-6 rarely carry a distance across a node of the force table, where it has a kink.
    """
    plan = replace(PLAN, kind=kind, neighbours=neighbours)
    states = first_states(plan, dynamics, tables)
    cotangents = random_cotangents(plan)
    befores = simulate(plan, dynamics, tables, states)[2]
    by_dynamics, by_parameters = pull_back(
        plan, dynamics, tabulate, parameters, befores, cotangents
    )

    def value(dynamics, parameters):
        frames = simulate(plan, dynamics, tabulate(parameters), states)[1]
        return np.sum(np.asarray(frames[:, 1:] - frames[:, :1]) * cotangents)

    h = 1e-6
    for name in Dynamics._fields:
        x = getattr(dynamics, name)
        up, down = (value(dynamics._replace(**{name: (1 + e) * x}), parameters) for e in (h, -h))
        slope = float(x * getattr(by_dynamics, name))
        assert (slope == 0.0) == (kind == "bd" and name == "mass")
        assert slope == pytest.approx((up - down) / (2 * h), rel=1e-5)

    h = 1e-5
    for group, leaves in parameters.items():
        direction = random_parameters(FORM, 5)[group]
        up, down = (
            value(
                dynamics,
                parameters | {group: jax.tree.map(lambda p, d: p + e * d, leaves, direction)},  # noqa: B023
            )
            for e in (h, -h)
        )
        slope = inner(by_parameters[group], direction)
        assert abs(slope) > 1e-6
        assert slope == pytest.approx((up - down) / (2 * h), rel=1e-5)


def test_cut_and_damped_gradient_of_free_brownian_motion(dynamics, parameters, tables):
    """Without forces a frame is a sum of kicks proportional to sqrt(alpha/gamma).

    The n-th kick before a frame counts exp(-n dt/t_d), and none from the `gradient_steps`-th on.
    """
    plan = replace(PLAN, box=(60.0,) * 3, lag_steps=(15, 10), gradient_steps=5, damping_time=0.01)
    states = first_states(plan, dynamics, tables)
    befores = simulate(plan, dynamics, tables, states)[2]
    cotangents = random_cotangents(plan)
    by_dynamics, by_parameters = pull_back(
        plan, dynamics, tabulate, parameters, befores, cotangents
    )

    one_step = replace(plan, lag_steps=(1,), gradient_steps=0)
    kicks = []
    for _ in range(25):
        states, frames, _ = simulate(one_step, dynamics, tables, states)
        kicks.append(np.asarray(frames[:, 1] - frames[:, 0]))
    weights = np.exp(-np.arange(5)[::-1] * plan.time_step / plan.damping_time)
    arriving = sum(
        np.sum(weight * kick * cotangents[:, lag])
        for lag, last in enumerate((15, 25))
        for weight, kick in zip(weights, kicks[last - 5 : last], strict=True)
    )
    assert by_dynamics.gamma == pytest.approx(-arriving / 600.0, rel=1e-9)
    assert by_dynamics.alpha == pytest.approx(arriving / 2.6, rel=1e-9)
    assert by_dynamics.mass == 0.0
    assert inner(by_parameters, by_parameters) == 0.0


def test_damping_scales_the_cotangent_and_leaves_the_value():
    x = jnp.linspace(-1.0, 2.0, 7)
    value, pull = jax.vjp(lambda x: rollout._damped(0.9, x), x)
    np.testing.assert_allclose(value, x, rtol=1e-15)
    np.testing.assert_allclose(pull(x)[0], 0.9 * x, rtol=1e-15)


def test_windows_are_deterministic_and_independent_of_how_they_are_grouped(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    frames = simulate(PLAN, dynamics, tables, states)[1]
    again = simulate(PLAN, dynamics, tables, states)[1]
    assert np.array_equal(frames, again)
    one_by_one = simulate(replace(PLAN, chunk=1), dynamics, tables, states)[1]
    np.testing.assert_allclose(one_by_one, frames, atol=1e-12)
    steps = np.asarray(frames[:, 1] - frames[:, 0])
    assert np.corrcoef(steps.reshape(WINDOWS, -1))[0, 1] == pytest.approx(0.0, abs=0.5)


def test_frames_begin_with_the_state_given_and_end_with_the_state_returned(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    half = replace(PLAN, gradient_steps=5)
    end, frames, befores = simulate(half, dynamics, tables, states)
    assert np.array_equal(frames[:, 0], states.position)
    assert np.array_equal(frames[:, -1], end.position)
    middle = simulate(replace(PLAN, lag_steps=(5,), gradient_steps=5), dynamics, tables, states)[0]
    np.testing.assert_allclose(befores.position[:, 0], middle.position, atol=1e-12)


def test_all_sites_as_neighbours_are_all_pairs(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    everyone = replace(PLAN, neighbours=SITES - 1)
    frames, same = (simulate(plan, dynamics, tables, states)[1] for plan in (PLAN, everyone))
    np.testing.assert_allclose(same, frames, atol=1e-12)
