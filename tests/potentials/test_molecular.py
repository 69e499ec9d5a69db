"""The potential of several types and of molecules, against that of one type and explicit sums."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from dynmatch.potentials.molecular import MolecularForm
from dynmatch.potentials.potential import ALL_PAIRS, Neighbours, PotentialForm
from scipy.spatial.transform import Rotation

from dynmatch.potentials import molecular, potential
from dynmatch.potentials.bonded import BondedTerm
from dynmatch.storage.plain import record_of
from tests.helpers.fluids import jittered_lattice, random_parameters

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

EDGE = 1.25
BOX = np.full(3, EDGE)
HUGE_BOX = np.full(3, 100.0)
COMMON = dict(
    cutoff=0.6,
    three_body_cutoff=0.55,
    thermal_energy=2.5,
    pair_basis=24,
    radial_channels=2,
    degree=3,
    hidden=(5,),
)
SITES = 27
CHAIN = ((0, 1), (1, 2), (2, 3), (3, 4))
FORM = MolecularForm(
    **COMMON,
    names=("A", "B"),
    types=tuple(k % 2 for k in range(SITES)),
    cores=(0.25, 0.23, 0.21),
    bonded=(
        BondedTerm(("A", "B"), CHAIN, (0.4, 900.0)),
        BondedTerm(("A", "B", "A"), ((0, 1, 2), (2, 3, 4)), (-0.3, 12.0)),
        BondedTerm(("A", "B", "A", "B"), ((0, 1, 2, 3),), (1.0, -2, 3, 4, 5, 6, -7, 8)),
    ),
)
MIXTURE = replace(FORM, bonded=())
ONE = PotentialForm(**COMMON, core=0.25)

_energy = jax.jit(potential.energy, static_argnums=0)
_force = jax.jit(potential.force, static_argnums=0)


def parameters_of(form: MolecularForm, seed: int = 1) -> dict:
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(lambda key: molecular.initialise(form, key), jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), shapes)


@pytest.fixture(scope="module")
def tables(double_precision):
    return jax.jit(potential.tabulate, static_argnums=0)(FORM, parameters_of(FORM))


@pytest.fixture(scope="module")
def positions() -> np.ndarray:
    return jittered_lattice(np.random.default_rng(2), EDGE, 0.08)


def lists(positions: np.ndarray) -> jax.Array:
    """All sites within half the box of each site, which is beyond both cutoffs."""
    d = positions[:, None] - positions[None]
    d -= EDGE * np.round(d / EDGE)
    near = (np.sum(d * d, -1) < 0.61**2) & ~np.eye(SITES, dtype=bool)
    room = near.sum(1).max() + 2
    table = np.full((room, SITES), SITES)
    for site, row in enumerate(near):
        table[: row.sum(), site] = np.flatnonzero(row)
    return jnp.asarray(table)


def test_one_type_without_bonds_is_the_potential_of_one_type(positions):
    form = replace(MIXTURE, names=("A",), types=(0,) * SITES, cores=(0.25,))
    alone = random_parameters(ONE, 1)
    ours = {
        "pair": {"params": {"coefficients": alone["pair"]["params"]["coefficients"][None]}},
        "radial": alone["radial"][None],
        "network": {"A": alone["network"]},
    }
    tables = potential.tabulate(form, ours), potential.tabulate(ONE, alone)
    energies = [_energy(f, t, positions, BOX) for f, t in zip((form, ONE), tables, strict=True)]
    assert energies[0] == pytest.approx(float(energies[1]), rel=1e-12)
    forces = [_force(f, t, positions, BOX) for f, t in zip((form, ONE), tables, strict=True)]
    np.testing.assert_allclose(*forces, atol=1e-9 * np.abs(forces[1]).max())


def test_two_types_with_the_same_parameters_have_the_pair_energy_of_one(positions):
    form = replace(MIXTURE, cores=(0.25,) * 3)
    alone = random_parameters(ONE, 1)
    ours = parameters_of(form)
    row = alone["pair"]["params"]["coefficients"]
    ours["pair"]["params"]["coefficients"] = jnp.tile(row, (3, 1))
    ours["network"] = jax.tree.map(jnp.zeros_like, ours["network"])
    alone["network"] = jax.tree.map(jnp.zeros_like, alone["network"])
    energies = [
        _energy(f, potential.tabulate(f, p), positions, BOX)
        for f, p in ((form, ours), (ONE, alone))
    ]
    assert energies[0] == pytest.approx(float(energies[1]), rel=1e-12)


def test_each_pair_of_types_has_its_own_pair_term():
    form = replace(MIXTURE, types=(0, 1, 1))
    parameters = parameters_of(form)
    parameters["network"] = jax.tree.map(jnp.zeros_like, parameters["network"])
    tables = potential.tabulate(form, parameters)
    sites = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.1, 0.4, 0]])
    expected = 0.0
    for (i, j), number in {(0, 1): 1, (0, 2): 1, (1, 2): 2}.items():
        pair = {"params": {"coefficients": parameters["pair"]["params"]["coefficients"][number]}}
        one = form.of_pair(number)
        alone = random_parameters(one, 3) | {"pair": pair}
        alone["network"] = jax.tree.map(jnp.zeros_like, alone["network"])
        two = potential.tabulate(one, alone)
        expected += potential.energy(one, two, sites[[i, j]], HUGE_BOX)
    found = potential.energy(form, tables, sites, HUGE_BOX)
    assert float(found) == pytest.approx(float(expected), rel=1e-10)


def test_linear_network_is_an_explicit_sum_over_triples():
    """E_a linear in the contraction of channels b, b' is a sum over pairs of neighbours of those
    types of h_ab(s) h_ab'(s') (d.d')^l."""
    form = replace(MIXTURE, hidden=(), radial_channels=1, types=(0, 1, 0, 1, 1))
    parameters = parameters_of(form)
    tables = potential.tabulate(form, parameters)
    rng = np.random.default_rng(5)
    sites = rng.uniform(0, 0.5, (5, 3))
    d = (sites[:, None] - sites[None]) / form.three_body_cutoff
    s = np.sum(d * d, -1)
    radial = np.asarray(tables.radial)
    total = 0.0
    for i, a in enumerate(form.types):
        kernel = np.asarray(tables.network[form.names[a]]["params"]["Dense_0"]["kernel"])[:, 0]
        others = [j for j in range(5) if j != i and s[i, j] < 1]
        h = {
            j: (1 - s[i, j]) ** 3 * np.polyval(radial[a, form.types[j]][::-1], s[i, j])
            for j in others
        }
        invariants = [sum(h[j] for j in others if form.types[j] == t) for t in (0, 1)]
        for rank in range(form.degree + 1):
            for t, u in ((0, 0), (0, 1), (1, 1)):
                invariants.append(
                    sum(
                        h[j] * h[k] * np.dot(d[i, j], d[i, k]) ** rank
                        for j in others
                        for k in others
                        if (form.types[j], form.types[k]) == (t, u)
                    )
                )
        total += np.dot(kernel, invariants)
    without = parameters | {"network": jax.tree.map(jnp.zeros_like, parameters["network"])}
    both = [
        float(potential.energy(form, potential.tabulate(form, p), sites, HUGE_BOX))
        for p in (parameters, without)
    ]
    assert both[0] - both[1] == pytest.approx(form.thermal_energy * total, rel=1e-8)


def test_sites_up_to_three_bonds_apart_do_not_interact():
    """Of the chain 0-1-2-3-4 only the ends do, besides its bonded terms."""
    form = replace(FORM, types=FORM.types[:5])
    parameters = parameters_of(form)
    sites = np.cumsum(np.random.default_rng(3).normal(0, 0.2, (5, 3)), 0)
    tables = potential.tabulate(form, parameters)
    ends = replace(MIXTURE, types=(0, 0))
    expected = potential.energy(ends, tables, sites[[0, 4]], HUGE_BOX)
    # the networks of the inner sites see no neighbours, and E(0) of a bias is not zero
    empty = replace(MIXTURE, types=form.types[1:4])
    expected += potential.energy(empty, tables, 5.0 * np.eye(3), HUGE_BOX)
    own = molecular.bonded.energy(form.bonded, jnp.asarray(sites), HUGE_BOX)
    found = potential.energy(form, tables, sites, HUGE_BOX)
    assert float(found) == pytest.approx(float(expected + own), rel=1e-10)
    np.testing.assert_array_equal(
        form.excluded,
        [[abs(i - j) <= 3 for j in range(5)] for i in range(5)],
    )


@pytest.mark.parametrize("listed", [False, True])
def test_force_is_the_negative_gradient_of_the_energy(tables, positions, listed):
    near = Neighbours(*[lists(positions)] * 2) if listed else ALL_PAIRS
    forces = _force(FORM, tables, positions, BOX, near)
    gradient = jax.jit(jax.grad(potential.energy, 2), static_argnums=0)(
        FORM, tables, positions, BOX, near
    )
    assert np.std(forces) > 10.0
    np.testing.assert_allclose(forces, -gradient, atol=1e-9 * np.max(np.abs(forces)))
    np.testing.assert_allclose(forces.sum(0), 0, atol=1e-9 * np.sum(np.abs(forces)))


def test_neighbour_lists_change_nothing(tables, positions):
    near = Neighbours(*[lists(positions)] * 2)
    for function in (_energy, _force):
        listed, all_pairs = (function(FORM, tables, positions, BOX, n) for n in (near, ALL_PAIRS))
        np.testing.assert_allclose(listed, all_pairs, rtol=1e-9, atol=1e-8)


def test_rotation_and_periodic_images_change_nothing(tables, positions):
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    open_energy = float(_energy(FORM, tables, positions, HUGE_BOX))
    assert float(_energy(FORM, tables, positions @ turn.T, HUGE_BOX)) == pytest.approx(open_energy)
    images = np.random.default_rng(3).integers(-3, 4, positions.shape)
    before, after = (_energy(FORM, tables, x, BOX) for x in (positions, positions + images * BOX))
    assert float(after) == pytest.approx(float(before), rel=1e-9)


def test_only_sites_of_one_type_may_be_exchanged(tables, positions):
    def exchanged(i, j):
        order = np.arange(SITES)
        order[[i, j]] = j, i
        return float(_energy(MIXTURE, tables, positions[order], BOX))

    before = float(_energy(MIXTURE, tables, positions, BOX))
    assert exchanged(0, 2) == pytest.approx(before, rel=1e-10)
    assert exchanged(0, 1) != pytest.approx(before, rel=1e-4)


def test_a_form_survives_being_written():
    text = yaml.safe_dump(record_of(FORM))
    assert molecular.form_of(yaml.safe_load(text)) == FORM
