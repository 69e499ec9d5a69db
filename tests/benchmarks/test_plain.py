"""The library's force and gradients against a plain implementation of the same model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import plain
from dynmatch.dynamics import rollout
from dynmatch.dynamics.registry import DYNAMICS
from tests.helpers.fluids import fluid, jittered_lattice, random_parameters, unbonded
from tests.helpers.models import equation, scale

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = fluid(three_body_cutoff=0.55, basis=10, degree=1)
SITES = unbonded("W" * 27)
EDGE = 1.25
BOX = jnp.full(3, EDGE)


@pytest.fixture(scope="module")
def positions():
    return jittered_lattice(np.random.default_rng(2), EDGE, 0.05 * EDGE)


def assert_near(found, expected, tolerance):
    """Relative to the norm of each array: single elements may vanish."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


def test_energy_and_force_are_those_of_the_plain_potential(positions):
    """To 3e-3 kJ/mol and 1e-4: the library's table of the pair force is linear between nodes."""
    potential = fluid(three_body_cutoff=0.55, basis=10, channels=2, hidden=(3,))
    parameters = random_parameters(potential, 1)
    tables = potential.tabulate(parameters)
    x = jnp.asarray(positions)
    expected = plain.energy(potential, parameters, x, BOX)
    assert potential.energy(tables, x, BOX, SITES) == pytest.approx(float(expected), abs=3e-3)
    found = potential.force(tables, x, BOX, SITES)
    assert_near(found, plain.force(potential, parameters, x, BOX), 1e-4)


@pytest.mark.parametrize("mean_steps", [1, 4])
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_gradients_are_those_of_the_plain_roll_out(dynamics, mean_steps, positions):
    """Frames to 1e-5 nm, for the table of the pair force is linear between nodes. The tangents that
    the library carries forward against differentiation in reverse, of every value, and of energies
    with respect to the parameters of the potential, to 1e-3."""
    moved = equation(dynamics, 0.004)
    plan = rollout.RolloutPlan(
        equation=moved,
        potential=FORM,
        topology=SITES,
        kT=2.5,
        box=(EDGE,) * 3,
        lag_steps=(12, 8),
        mean_steps=mean_steps,
        learned=moved.carried,
        rebuild=5,
        capacity=(None, 26),
    )
    begin = moved.initial(scale(300.0, 30.0, 15.0))
    values = {name: jnp.asarray(value, float) for name, value in begin.items()}
    parameters = random_parameters(FORM, 1)
    tables = FORM.tabulate(parameters)
    key = jax.random.split(jax.random.key(3), 1)
    states = rollout.start(plan, values, tables, key, jnp.asarray(positions)[None])
    simulate = jax.jit(rollout.simulate_windows, static_argnums=0)
    _, frames = simulate(plan, values, tables, states)
    state = jax.tree.map(lambda a: a[0], states)
    seen = jax.jit(plain.window, static_argnums=0)(plan, values, parameters, state)
    np.testing.assert_allclose(seen.positions, frames.positions[0], atol=1e-5)
    np.testing.assert_allclose(seen.means, frames.means[0], atol=1e-5)
    assert np.abs(frames.positions[0, -1] - positions).max() > 0.01

    cotangents = jnp.asarray(np.random.default_rng(4).normal(size=seen.means.shape))
    along, of_energy = jax.jit(plain.gradient, static_argnums=0)(
        plan, values, parameters, state, cotangents
    )
    found = jnp.einsum("ptnx,tnx->p", frames.tangents[0], cotangents)
    expected = np.concatenate([np.ravel(along[name]) for name in plan.learned])
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())

    def energies(parameters):
        tables = FORM.tabulate(parameters)
        return sum(FORM.energy(tables, frames.positions[0, k], BOX, SITES) for k in (0, -1))

    assert_near(jax.grad(energies)(parameters), of_energy, 1e-3)
