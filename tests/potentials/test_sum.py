"""Sums of terms against their definition: invariances, finite differences, what several types are.

Of one type of sites, and of two types, five sites of which make a chain with bonded terms.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from dynmatch.errors import DynmatchError
from dynmatch.potentials.bonded import Kind
from dynmatch.potentials.sum import Potential, of_record
from dynmatch.sites.topology import SiteTopology
from tests.helpers.fluids import (
    bonded_sites,
    fluid,
    jittered_lattice,
    lists_within,
    random_parameters,
    unbonded,
    without,
)

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

COMMON = {"three_body_cutoff": 0.55, "channels": 2, "hidden": (5,)}
CORES = (0.25, 0.23, 0.21)
KINDS = (
    Kind(("A", "B"), (0.4, 900.0)),
    Kind(("A", "B", "A"), (-0.3, 12.0)),
    Kind(("B", "A", "B"), (-0.2, 15.0)),
    Kind(("A", "B", "A", "B"), (1.0, -2, 3, 4, 5, 6, -7, 8)),
)
CHAIN = ((0, 1), (1, 2), (2, 3), (3, 4))
MIXED = "AB" * 13 + "A"
EDGE = 1.25
BOX = np.full(3, EDGE)
HUGE_BOX = np.full(3, 100.0)
ONE = fluid(("A",), 0.25, **COMMON)
TWO = fluid(("A", "B"), CORES, **COMMON)
MOLECULES = fluid(("A", "B"), CORES, kinds=KINDS, **COMMON)


class System:
    """A potential with random parameters, on sites of a topology."""

    def __init__(self, potential: Potential, topology: SiteTopology, parameters: dict):
        self.potential, self.topology, self.parameters = potential, topology, parameters
        self.tables = potential.tabulate(parameters)
        self._energy, self._force, self._gradient = (
            jax.jit(lambda x, box, near, f=f: f(self.tables, x, box, topology, near))
            for f in (potential.energy, potential.force, jax.grad(potential.energy, 1))
        )

    def energy(self, positions, box, neighbours=None) -> float:
        return float(self._energy(jnp.asarray(positions), box, neighbours))

    def force(self, positions, box, neighbours=None) -> np.ndarray:
        return np.asarray(self._force(jnp.asarray(positions), box, neighbours))

    def gradient(self, positions, box, neighbours=None) -> np.ndarray:
        return np.asarray(self._gradient(jnp.asarray(positions), box, neighbours))


@pytest.fixture(scope="module")
def one(double_precision):
    return System(ONE, unbonded("A" * 27), random_parameters(ONE, 1))


@pytest.fixture(scope="module")
def mixture(double_precision):
    return System(TWO, unbonded(MIXED), random_parameters(TWO, 1))


@pytest.fixture(scope="module")
def molecules(double_precision):
    return System(MOLECULES, bonded_sites(MIXED, CHAIN), random_parameters(MOLECULES, 1))


@pytest.fixture(params=["one", "molecules"])
def system(request) -> System:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def positions() -> np.ndarray:
    """27 sites, nearest neighbours between 0.26 and 0.5 nm."""
    return jittered_lattice(np.random.default_rng(2), EDGE, 0.08)


def lists(positions: np.ndarray, potential: Potential) -> tuple:
    return tuple(
        lists_within(positions, BOX, term.reach, 1 + n) if term.reach else None
        for n, term in enumerate(potential.terms)
    )


def two_sites(r: float) -> np.ndarray:
    return np.array([[0.1, 0.2, 0.3], [0.1 + r, 0.2, 0.3]])


def test_rotation_leaves_the_energy_and_turns_the_forces(system, positions):
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    turned = positions @ turn.T
    before, after = (system.energy(x, HUGE_BOX) for x in (positions, turned))
    assert after == pytest.approx(before, rel=1e-12)
    forces = system.force(positions, HUGE_BOX)
    np.testing.assert_allclose(
        system.force(turned, HUGE_BOX), forces @ turn.T, atol=1e-9 * np.abs(forces).max()
    )


def test_translation_and_periodic_images_change_nothing(system, positions):
    images = np.random.default_rng(3).integers(-3, 4, positions.shape)
    moved = positions + np.array([0.31, -0.17, 2.9]) + images * BOX
    before, after = (system.energy(x, BOX) for x in (positions, moved))
    assert after == pytest.approx(before, rel=1e-10)
    forces = system.force(positions, BOX)
    np.testing.assert_allclose(system.force(moved, BOX), forces, atol=1e-7)


def test_permutation_leaves_the_energy_and_permutes_the_forces(one, positions):
    order = np.random.default_rng(4).permutation(len(positions))
    before, after = (one.energy(x, BOX) for x in (positions, positions[order]))
    assert after == pytest.approx(before, rel=1e-12)
    forces = one.force(positions, BOX)
    np.testing.assert_allclose(one.force(positions[order], BOX), forces[order], atol=1e-9)


def test_only_sites_of_one_type_may_be_exchanged(mixture, positions):
    def exchanged(i, j):
        order = np.arange(len(positions))
        order[[i, j]] = j, i
        return mixture.energy(positions[order], BOX)

    before = mixture.energy(positions, BOX)
    assert exchanged(0, 2) == pytest.approx(before, rel=1e-10)
    assert exchanged(0, 1) != pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize("listed", [False, True])
def test_force_is_the_negative_gradient_of_the_energy(system, positions, listed):
    near = lists(positions, system.potential) if listed else None
    forces = system.force(positions, BOX, near)
    assert np.std(forces) > 10.0
    np.testing.assert_allclose(
        forces, -system.gradient(positions, BOX, near), atol=1e-9 * np.max(np.abs(forces))
    )


def test_force_is_the_negative_finite_difference_of_the_energy(system, positions):
    """Central differences of step h = 1e-5 nm; the kinks of the tabulated force limit them."""
    h = 1e-5
    shifts = h * np.eye(positions.size).reshape(-1, *positions.shape)
    box = jnp.asarray(BOX)

    @jax.jit
    def along(shifts):
        def shifted(d):
            x = positions + d
            return system.potential.energy(system.tables, x, box, system.topology)

        return jax.lax.map(shifted, shifts, batch_size=9)

    difference = (along(shifts) - along(-shifts)) / (2 * h)
    forces = system.force(positions, BOX)
    np.testing.assert_allclose(
        forces, -difference.reshape(positions.shape), atol=1e-5 * np.max(np.abs(forces))
    )


def test_forces_add_up_to_zero(system, positions):
    forces = system.force(positions, BOX)
    np.testing.assert_allclose(np.sum(forces, 0), 0.0, atol=1e-10 * np.sum(np.abs(forces)))


def test_single_precision_is_enough(system, positions):
    """Training and validation run in single precision: the force is good to 1e-4 of its spread."""
    tables, x, box = jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float32), (system.tables, positions, BOX)
    )
    forces = system.force(positions, BOX)
    error = system.potential.force(tables, x, box, system.topology) - forces
    assert np.sqrt(np.mean(error**2)) < 1e-4 * np.std(forces)


def test_neighbour_lists_give_what_all_pairs_give(system, positions):
    near = lists(positions, system.potential)
    everything = system.energy(positions, BOX)
    assert system.energy(positions, BOX, near) == pytest.approx(everything, rel=1e-12)
    np.testing.assert_allclose(
        system.force(positions, BOX, near), system.force(positions, BOX), atol=1e-9
    )


@pytest.mark.parametrize("cutoff", [term.reach for term in ONE.terms])
def test_energy_and_force_are_continuous_at_the_cutoffs(one, cutoff):
    """A third site crosses a cutoff of the first; 1e-9 nm change them by slope x 1e-9 at most."""
    three = System(ONE, unbonded("AAA"), one.parameters)

    def at(r):
        x = np.concatenate([two_sites(0.3), [[0.1, 0.2 + r, 0.3]]])
        return three.energy(x, HUGE_BOX), three.force(x, HUGE_BOX)

    inside, outside, far = at(cutoff - 1e-9), at(cutoff + 1e-9), at(cutoff - 0.05)
    assert abs(far[0] - inside[0]) > 1e-4
    assert np.max(np.abs(far[1] - inside[1])) > 1e-2
    assert outside[0] == pytest.approx(inside[0], abs=1e-6)
    np.testing.assert_allclose(outside[1], inside[1], atol=1e-4)


def test_beyond_the_cutoffs_there_is_no_force(one):
    two = System(ONE, unbonded("AA"), one.parameters)
    assert not np.any(two.force(two_sites(ONE.reach + 1e-6), HUGE_BOX))


def test_two_types_that_are_the_same_are_one(one, positions):
    """Of pair and three-body term: channels of neighbours of either type have the parameters of
    one, and E does not tell which is which where it is a function of their sums."""
    linear = {**COMMON, "hidden": ()}
    single, double = fluid(("A",), 0.25, **linear), fluid(("A", "B"), 0.25, **linear)
    alone = random_parameters(single, 1)
    (kernel,) = jax.tree.leaves(alone["network"])
    both = {
        "pair": jnp.tile(alone["pair"], (3, 1)),
        "radial": jnp.tile(alone["radial"], (2, 2, 1)),
        "network": {name: _kernel_of_sums(kernel, 2, 4) for name in "AB"},
    }
    one = System(single, unbonded("A" * 27), alone)
    two = System(double, unbonded(MIXED), both)
    assert two.energy(positions, BOX) == pytest.approx(one.energy(positions, BOX), rel=1e-12)
    forces = one.force(positions, BOX)
    np.testing.assert_allclose(two.force(positions, BOX), forces, atol=1e-9 * np.abs(forces).max())


def _kernel_of_sums(kernel, channels: int, ranks: int) -> dict:
    """Of a linear E of the `channels` of one type, that for which those of two types are summed.

    m = m_A + m_B: each m_a.m_b becomes (m_aA + m_aB).(m_bA + m_bB).
    """
    couples = [(a, b) for a in range(channels) for b in range(a, channels)]
    wide = [(a, b) for a in range(2 * channels) for b in range(a, 2 * channels)]
    given = np.asarray(kernel)[:, 0]
    made = [given[c % channels] for c in range(2 * channels)]
    for rank in range(ranks):
        own = dict(zip(couples, given[channels + rank * len(couples) :], strict=False))
        for a, b in wide:
            low, high = sorted((a % channels, b % channels))
            # of m_1.m_2 the mixed products occur once, of m_1.m_1 twice
            twice = 2 if low == high and a != b else 1
            made.append(twice * own[low, high])
    return {"params": {"Dense_0": {"kernel": jnp.asarray(made)[:, None]}}}


def test_sites_up_to_three_bonds_apart_do_not_interact(mixture):
    """Of the chain 0-1-2-3-4 only the ends do, besides its bonded terms."""
    parameters = mixture.parameters
    sites = np.cumsum(np.random.default_rng(3).normal(0, 0.2, (5, 3)), 0)
    chain = System(MOLECULES, bonded_sites("ABABA", CHAIN), parameters)
    expected = System(TWO, unbonded("AA"), parameters).energy(sites[[0, 4]], HUGE_BOX)
    # the networks of the inner sites see no neighbours, and E(0) of a bias is not zero
    apart = 5.0 * np.eye(3)
    expected += System(TWO, unbonded("BAB"), parameters).energy(apart, HUGE_BOX)
    bonds = MOLECULES.term("bonded")
    own = bonds.energy({}, jnp.asarray(sites), HUGE_BOX, chain.topology, None)
    assert chain.energy(sites, HUGE_BOX) == pytest.approx(expected + float(own), rel=1e-10)


@pytest.mark.parametrize("group", ["pair", "radial", "network"])
def test_gradient_with_respect_to_parameters_is_the_finite_difference(system, positions, group):
    potential, box = system.potential, jnp.asarray(BOX)

    @jax.jit
    def value(p):
        tables = potential.tabulate(p)
        return potential.energy(tables, jnp.asarray(positions), box, system.topology)

    direction = jax.tree.map(jnp.zeros_like, system.parameters)
    direction[group] = random_parameters(potential, 8)[group]

    def along(h):
        return float(value(jax.tree.map(lambda p, d: p + h * d, system.parameters, direction)))

    gradient = jax.grad(value)(system.parameters)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)))
    assert abs(slope) > 0.1
    assert slope == pytest.approx((along(1e-4) - along(-1e-4)) / 2e-4, rel=1e-6)


@pytest.mark.parametrize("potential", [ONE, MOLECULES])
def test_a_potential_survives_being_written(potential):
    assert of_record(yaml.safe_load(yaml.safe_dump(potential.record()))) == potential


def test_terms_are_found_by_their_kind(positions):
    """What is asked of a potential as a whole is that of its terms."""
    assert MOLECULES.term("bonded").kinds == KINDS
    assert ONE.term("bonded") is None
    assert MOLECULES.groups == ("pair", "radial", "network")
    assert MOLECULES.reach == 0.6
    assert MOLECULES.sees == "neighbours"
    parameters = random_parameters(ONE, 3)
    near_nothing = without("radial", without("network", parameters))
    pair_alone = System(ONE, unbonded("A" * 27), near_nothing).energy(positions, BOX)
    tables = ONE.terms[0].tabulate({"pair": parameters["pair"]})
    only = ONE.terms[0].energy(tables, jnp.asarray(positions), BOX, unbonded("A" * 27), None)
    # a network of tanh without biases would be 0; its biases leave 27 E(0)
    zero = System(ONE, unbonded("A"), near_nothing).energy(np.zeros((1, 3)), HUGE_BOX)
    assert pair_alone - 27 * zero == pytest.approx(float(only), rel=1e-9)


def test_sites_and_bonds_that_are_not_known_are_named():
    MOLECULES.require(bonded_sites("ABABA", CHAIN))
    MOLECULES.require(unbonded("AAB"))
    with pytest.raises(DynmatchError, match=r"sites called C, D .* knows A, B"):
        MOLECULES.require(unbonded("ABCD"))
    with pytest.raises(DynmatchError, match=r"no bonded term for A-A, A-A-B; it knows A-B, "):
        MOLECULES.require(bonded_sites("AAB", [(0, 1), (1, 2)]))
