"""The library's forces and tangents against a plain implementation of the same model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import plain
from dynmatch.dynamics import rollout
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.potentials import pair, three_body
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import independent_sites
from tests.helpers.fluids import jittered_lattice
from tests.helpers.models import equation

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

KT = 2.5
EDGE = 1.25
SITES = independent_sites(["W"] * 27, "R")


def potential_of(channels: int, degree: int, hidden: tuple[int, ...]) -> Potential:
    names = ("W",)
    terms = (
        pair.Form(names, 0.6, KT, 10, (0.25,)),
        three_body.Form(names, 0.55, KT, channels, degree, hidden),
    )
    return Potential(terms, names, KT)


def random_parameters(potential: Potential, size: float = 1.0) -> dict:
    rng = np.random.default_rng(1)
    shapes = potential.initialise(jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(size * rng.normal(size=x.shape)), shapes)


@pytest.fixture(scope="module")
def positions():
    return jittered_lattice(np.random.default_rng(2), EDGE, 0.05 * EDGE)[:27]


def test_energy_and_force_are_those_of_the_plain_potential(positions):
    """To 3e-3 kJ/mol and 1e-4: the library's table of the pair force is linear between nodes."""
    potential = potential_of(2, 3, (3,))
    parameters = random_parameters(potential)
    tables, box = potential.tabulate(parameters), jnp.full(3, EDGE)
    expected = plain.energy(potential, parameters, positions, box)
    found = potential.energy(tables, positions, box, SITES)
    assert found == pytest.approx(float(expected), abs=3e-3)
    forces = potential.force(tables, positions, box, SITES)
    reference = plain.force(potential, parameters, positions, box)
    assert np.linalg.norm(forces - reference) <= 1e-4 * np.linalg.norm(reference)


@pytest.mark.parametrize("kind", ["bd", "ld"])
def test_windows_and_tangents_are_those_of_the_plain_roll_out(kind, positions):
    """To 1e-5 nm and 1e-3: the table again."""
    potential = potential_of(1, 1, ())
    parameters = random_parameters(potential, 0.3)
    moved = equation(kind, 0.004)
    plan = RolloutPlan(
        moved,
        potential,
        SITES,
        KT,
        (EDGE,) * 3,
        (20,),
        mean_steps=4,
        learned=moved.carried,
        rebuild=5,
    )
    plan = rollout.with_capacity(plan, positions[None], 3.0)
    given = moved.initial(Scale(np.array([30.0]), np.array([300.0]), np.array([12.0])))
    values = {name: jnp.asarray(value) for name, value in given.items()}
    tables = potential.tabulate(parameters)
    keys = jax.random.split(jax.random.key(3), 1)
    states = rollout.start(plan, values, tables, keys, positions[None])
    _, frames = jax.jit(rollout.simulate_windows, static_argnums=0)(plan, values, tables, states)
    state = jax.tree.map(lambda a: a[0], states)
    seen = jax.jit(plain.window, static_argnums=0)(plan, values, parameters, state)
    np.testing.assert_allclose(seen, frames.means[0], atol=1e-5)
    expected = np.asarray(
        jax.jit(plain.tangents, static_argnums=0)(plan, values, parameters, state)
    )
    found = np.asarray(frames.tangents[0])
    for number in range(len(plan.learned)):
        difference = np.linalg.norm(found[number] - expected[number])
        assert difference <= 1e-3 * np.linalg.norm(expected[number])
