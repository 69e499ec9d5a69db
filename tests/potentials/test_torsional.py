"""The potential of one molecule in its internal coordinates, written out by hand."""

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.potentials.torsional import Energy
from tests.helpers.fluids import bonded_sites
from tests.helpers.molecules import BACKBONE, CHAIN, FORM, NAMES, molecule

pytestmark = pytest.mark.usefixtures("double_precision")

BOX = np.full(3, 100.0)
SITES = bonded_sites(NAMES, BACKBONE)


@pytest.fixture(scope="module")
def network(double_precision):
    network = Energy(FORM.hidden).init(jax.random.key(1), jnp.zeros(FORM.features))
    return jax.tree.map(lambda a: a + 0.3, network)


def energy(network, x) -> float:
    return float(FORM.energy(network, jnp.asarray(x), BOX, SITES, None))


def test_the_mirror_image_is_another_molecule(network):
    x = molecule(np.random.default_rng(1))
    assert abs(energy(network, x * [1, 1, -1]) - energy(network, x)) > 1.0


def test_without_network_it_is_the_sum_of_its_terms(network):
    """Written out with MDTraj's angles and dihedrals."""
    x = molecule(np.random.default_rng(5))
    none = jax.tree.map(jnp.zeros_like, network)
    frame = mdtraj.Trajectory(x[None], None)
    r = mdtraj.compute_distances(frame, CHAIN.lengths, periodic=False)
    theta = mdtraj.compute_angles(frame, CHAIN.angles, periodic=False)
    turns = mdtraj.compute_dihedrals(frame, CHAIN.torsions, periodic=False)[0]
    improper = mdtraj.compute_dihedrals(frame, CHAIN.impropers, periodic=False)[0]
    n = np.arange(1, 5)
    expected = 0.5 * 9e3 * np.sum((r - 0.13) ** 2)
    expected += 0.5 * 300 * np.sum((np.cos(theta) + 0.5) ** 2)
    expected += 200 * np.sum(1 - np.cos(improper + 2.1))
    for phi, series in zip(turns, FORM.torsions, strict=True):
        a, b = series[:4], series[4:]
        expected += np.sum(a * np.cos(n * phi) + b * np.sin(n * phi))
    assert energy(none, x) == pytest.approx(expected, rel=1e-4)


def test_the_network_sees_turns_and_deviations_over_their_spread(network):
    """kT E of cosines and sines of the torsions, and of deviations times sqrt(k/kT)."""
    x = molecule(np.random.default_rng(6))
    none = jax.tree.map(jnp.zeros_like, network)
    frame = mdtraj.Trajectory(x[None], None)
    r = mdtraj.compute_distances(frame, CHAIN.lengths, periodic=False)[0]
    theta = mdtraj.compute_angles(frame, CHAIN.angles, periodic=False)[0]
    phi = mdtraj.compute_dihedrals(frame, CHAIN.torsions, periodic=False)[0]
    improper = mdtraj.compute_dihedrals(frame, CHAIN.impropers, periodic=False)[0]
    kT = FORM.thermal_energy
    features = np.concatenate(
        [
            np.cos(phi),
            np.sin(phi),
            np.sqrt(200 / kT) * np.sin(improper + 2.1),
            np.sqrt(300 / kT) * (np.cos(theta) + 0.5),
            np.sqrt(9e3 / kT) * (r - 0.13),
        ]
    )
    assert len(features) == FORM.features
    expected = kT * float(Energy(FORM.hidden).apply(network, features))
    assert energy(network, x) - energy(none, x) == pytest.approx(expected, rel=1e-3)


def test_another_molecule_is_refused():
    FORM.require(SITES)
    with pytest.raises(DynmatchError, match=r"single molecule of 6 sites \(A B A B A B\), and"):
        FORM.require(bonded_sites("ABA", BACKBONE[:2]))
