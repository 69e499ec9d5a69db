"""A cubic box in a triclinic choice of cell: the same energies, forces, lists and features."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import KDTree

from dynmatch.potentials.bonded import Kind
from dynmatch.potentials.neighbour_lists import NeighbourLists
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites import box as boxes
from dynmatch.sites.topology import SiteTopology
from dynmatch.training.classifiers import neighbours
from tests.helpers.boxes import doubled
from tests.helpers.fluids import fluid, jittered_lattice, random_parameters, unbonded
from tests.helpers.models import model_of

EDGE = 1.5
pytestmark = pytest.mark.usefixtures("quick_compilation")
KINDS = (Kind(("A", "B"), (0.3, 900.0)), Kind(("A", "B", "A"), (-0.3, 20.0)))


def chains(copies: int) -> SiteTopology:
    """27 sites of each copy, one A-B-A of neighbours about a corner, and every other A."""
    one = SiteTopology(tuple("B" + "A" * 26), (0,) * 27, ("M",), ((0, 1), (0, 3)))
    return one.repeated(copies)


@pytest.fixture
def sites() -> np.ndarray:
    return jittered_lattice(np.random.default_rng(1), EDGE, 0.08)


@pytest.fixture
def to_many_digits():
    with jax.enable_x64(True):
        yield


def test_energies_and_forces_are_those_of_the_cube(to_many_digits, sites):
    """Of all terms: every site and its image feel the same."""
    potential = fluid(("A", "B"), 0.25, kinds=KINDS)
    tables = potential.tabulate(random_parameters(potential, 2))

    @partial(jax.jit, static_argnums=2)
    def evaluate(positions, box, topology):
        given = tables, positions, box, topology
        return potential.energy(*given), potential.force(*given)

    energy, force = evaluate(sites, jnp.full(3, EDGE), chains(1))
    twice, box = doubled(sites, EDGE)
    twice = twice + np.random.default_rng(3).integers(-2, 3, twice.shape) @ box
    found, felt = evaluate(twice, jnp.asarray(box), chains(2))
    assert float(found) == pytest.approx(2 * float(energy), rel=1e-10)
    np.testing.assert_allclose(felt, np.tile(force, (2, 1)), atol=1e-9 * np.abs(force).max())


def test_a_calculator_with_lists_agrees_with_that_of_the_cube():
    """In single precision."""
    potential = fluid(cutoff=0.6, three_body_cutoff=0.45)
    model = model_of(potential, random_parameters(potential, 4))
    edge = 2.0
    x = jittered_lattice(np.random.default_rng(5), edge, 0.08, 5)
    energy, forces = Calculator(model, np.full(3, edge), unbonded("W" * len(x)))(x)
    twice, box = doubled(x, edge)
    found, felt = Calculator(model, box, unbonded("W" * len(twice)))(twice)
    assert found == pytest.approx(2 * energy, rel=1e-4)
    np.testing.assert_allclose(felt, np.tile(forces, (2, 1)), atol=1e-4 * np.abs(forces).max())


def test_lists_from_cells_hold_what_a_tree_finds():
    box = np.array([[3.5, 0, 0], [0.9, 3.2, 0], [-1.5, 1.0, 3.4]])
    count, skin = 1300, 0.1
    potential = fluid()
    rng = np.random.default_rng(6)
    x = jnp.asarray(rng.uniform(-2, 3, (1, count, 3)) @ box, jnp.float32)
    lists = NeighbourLists(potential, box, count, skin)
    capacity = lists.capacity(x, 0)
    assert capacity.cell is not None
    near, fits = jax.jit(lists.update, static_argnums=0)(capacity, x)
    assert fits
    reach = potential.reach + skin
    points, site, _ = boxes.points_for_tree(np.asarray(x[0]), box, reach)
    around = KDTree(points).query_ball_point(points[:count], reach)
    rims = 0
    for number, others in enumerate(around):
        listed = np.asarray(near[0][0, :, number])
        odd = set(listed[listed < count]) ^ (set(site[others]) - {number})
        d = boxes.minimum_image(points[list(odd)] - points[number], box)
        # a pair at the very rim may fall on either side in single precision
        assert np.allclose(np.linalg.norm(d, axis=1), reach, atol=2e-5)
        rims += len(odd)
    assert rims < 20


def test_features_of_the_classifier_are_those_of_the_cube(to_many_digits, sites):
    steps = np.random.default_rng(7).normal(0, 0.02, (2, 27, 3))
    window = np.concatenate([sites[None], sites + np.cumsum(steps, 0)])
    twice, box = doubled(window, EDGE)

    def features(positions, box, copies):
        form = neighbours.Form(chains(copies), 0.6, 0.2)
        return jax.jit(form.structure)(positions, jnp.asarray(box))

    for one, other in zip(
        features(window, np.full(3, EDGE), 1), features(twice, box, 2), strict=True
    ):
        expected = np.concatenate([one, one])
        np.testing.assert_allclose(other, expected, atol=1e-9 * np.abs(expected).max())
