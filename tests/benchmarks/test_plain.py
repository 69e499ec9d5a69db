"""The library's force and gradient against a plain implementation of the same model."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynmatch.dynamics.dynamics import Dynamics

from benchmarks import plain
from dynmatch.dynamics import rollout
from dynmatch.dynamics.rollout import Frames
from dynmatch.potentials import potential
from tests.helpers.fluids import jittered_lattice, random_parameters

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = potential.PotentialForm(
    cutoff=0.6,
    three_body_cutoff=0.55,
    core=0.25,
    thermal_energy=2.5,
    pair_basis=10,
    radial_channels=1,
    degree=1,
    hidden=(),
)
EDGE = 1.25
PLAN = rollout.RolloutPlan(
    kind="ld",
    form=FORM,
    kT=2.5,
    box=(EDGE,) * 3,
    time_step=0.004,
    lag_steps=(20,),
    gradient_steps=10,
    damping_time=0.05,
    rebuild=5,
    neighbours=26,
    parameter_stride=1,
    mean_steps=4,
)
DYNAMICS = Dynamics(gamma=300.0, alpha=1.3, mass=30.0)


@pytest.fixture(scope="module")
def positions():
    return jittered_lattice(np.random.default_rng(2), EDGE, 0.05 * EDGE)[:27]


def assert_near(found, expected, tolerance):
    """Relative to the norm of each array: single elements may vanish."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b)


def test_energy_and_force_are_those_of_the_plain_potential(positions):
    """To 3e-3 kJ/mol and 1e-4: the library's table of the pair force is linear between nodes."""
    form = replace(FORM, radial_channels=2, degree=3, hidden=(3,))
    parameters = random_parameters(form, 1)
    tables = potential.tabulate(form, parameters)
    box = jnp.full(3, EDGE)
    expected = plain.energy(form, parameters, positions, box)
    assert potential.energy(form, tables, positions, box) == pytest.approx(
        float(expected), abs=3e-3
    )
    found = potential.force(form, tables, positions, box)
    assert_near(found, plain.force(form, parameters, positions, box), 1e-4)


@pytest.mark.parametrize("kind", ["bd", "ld"])
def test_gradient_is_that_of_the_plain_roll_out(kind, positions):
    """To 1e-2: the derivative of a table that is linear between nodes is a step function."""
    plan = replace(PLAN, kind=kind)
    dynamics = jax.tree.map(jnp.float64, DYNAMICS)
    parameters = random_parameters(FORM, 1)

    def tabulate(parameters):
        return potential.tabulate(FORM, parameters)

    tables = tabulate(parameters)
    states = rollout.start(
        plan, dynamics, tables, jax.random.split(jax.random.key(3), 1), positions[None]
    )
    cotangents = [
        Frames(*np.random.default_rng(seed).normal(size=(2, 2, *positions.shape)))
        for seed in (4, 5)
    ]
    _, frames, befores = jax.jit(rollout.simulate_windows, static_argnums=0)(
        plan, dynamics, tables, states
    )
    carried = [jax.tree.map(lambda a: a[None, plan.carrying], c) for c in cotangents]
    found = jax.jit(rollout.pull_back, static_argnums=(0, 2))(
        plan, dynamics, tabulate, parameters, befores, *carried
    )
    state = jax.tree.map(lambda a: a[0], states)
    seen = jax.jit(plain.window, static_argnums=0)(plan, dynamics, parameters, state)
    np.testing.assert_allclose(seen.positions, frames.positions[0], atol=1e-5)
    np.testing.assert_allclose(seen.means, frames.means[0], atol=1e-5)
    expected = jax.jit(plain.gradient, static_argnums=0)(
        plan, dynamics, parameters, state, *cotangents
    )
    assert_near(found[0][:2], expected[0][:2], 1e-2)
    assert_near(found[1], expected[1], 1e-2)
    if kind == "ld":
        assert found[0].mass == pytest.approx(float(expected[0].mass), rel=1e-2)
