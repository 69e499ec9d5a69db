"""Energy and forces of a model for whoever moves the sites by other means."""

import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.potentials import pair
from dynmatch.simulation.calculator import Calculator
from tests.helpers.fluids import fluid, jittered_lattice, random_parameters, unbonded
from tests.helpers.models import grid, model_of, soft_model

pytestmark = pytest.mark.usefixtures("compilation_cache")

W = unbonded("W" * 27)


def test_they_are_those_of_the_potential():
    """With lists and in single precision, against all pairs: 1e-4 of the largest force."""
    potential = fluid(("A", "B"), 0.25, hidden=(3,))
    model = model_of(potential, random_parameters(potential, 1))
    topology, box = unbonded("AB" * 108), np.full(3, 2.5)
    x = jittered_lattice(np.random.default_rng(2), 2.5, 0.08, 6)
    energy, forces = Calculator(model, box, topology)(x)
    given = potential.tabulate(model.parameters), jnp.asarray(x, jnp.float32), box, topology
    assert energy == pytest.approx(float(potential.energy(*given)), rel=1e-4)
    expected = np.asarray(potential.force(*given))
    np.testing.assert_allclose(forces, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("all_pairs_up_to", [128, 10])
def test_lists_grow_when_sites_come_together(monkeypatch, all_pairs_up_to):
    """27 sites 0.7 nm apart, which is out of reach, then in a heap: the first lists are short."""
    monkeypatch.setattr(pair.Form, "all_pairs_up_to", all_pairs_up_to)
    box, heap = np.full(3, 3.6), grid(3, 1.0).positions[0]
    used, fresh = (Calculator(soft_model(), box, W) for _ in range(2))
    assert used(grid(3, 2.1).positions[0])[0] == pytest.approx(0, abs=1e-3)
    energy, forces = used(heap)
    expected = fresh(heap)
    assert energy == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(forces, expected[1], atol=1e-4 * np.abs(expected[1]).max())


def test_a_box_shorter_than_twice_the_cutoff_is_refused():
    """A site would meet two images of another."""
    with pytest.raises(DynmatchError, match=r"box \[1.3, 1.3, 1.1\] nm.*twice the cutoff.*0.6"):
        Calculator(soft_model(), np.array([1.3, 1.3, 1.1]), W)


def test_positions_of_other_sites_and_unknown_sites_are_refused():
    calculator = Calculator(soft_model(), np.full(3, 2.0), W)
    with pytest.raises(DynmatchError, match=r"shape \(28, 3\), and \(27, 3\) are expected"):
        calculator(np.zeros((28, 3)))
    with pytest.raises(DynmatchError, match="sites called X"):
        Calculator(soft_model(), np.full(3, 2.0), unbonded("WX"))
