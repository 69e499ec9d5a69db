"""Bonded terms, written out by hand."""

import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.potentials.bonded import Form, Kind
from tests.helpers.fluids import bonded_sites

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = Form(
    (
        Kind(("A", "B"), (0.2, 900.0)),
        Kind(("B", "B"), (0.3, 700.0)),
        Kind(("A", "B", "B"), (-0.3, 12.0)),
        Kind(("A", "B", "B", "A"), (1.0, -2, 3, 4, 5, 6, -7, 8)),
    )
)
BOX = np.array([2.0, 2.2, 2.4])
TWICE = bonded_sites("ABBAABBA", [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)])


def energy(positions, topology) -> float:
    return float(FORM.energy(None, jnp.asarray(positions), BOX, topology, None))


def test_energy_is_the_sum_over_the_bonds_angles_and_dihedrals_of_the_topology():
    """With MDTraj's distances, angles and dihedrals, periodic images included."""
    positions = np.random.default_rng(1).uniform(0, 2, (8, 3))
    frame = mdtraj.Trajectory(
        positions[None],
        TWICE.to_mdtraj(),
        unitcell_lengths=BOX[None],
        unitcell_angles=[[90.0] * 3],
    )
    expected = 0.0
    for pairs, r0, k in (
        ([[0, 1], [2, 3], [4, 5], [6, 7]], 0.2, 900.0),
        ([[1, 2], [5, 6]], 0.3, 700.0),
    ):
        expected += 0.5 * k * np.sum((mdtraj.compute_distances(frame, pairs) - r0) ** 2)
    angles = mdtraj.compute_angles(frame, [[0, 1, 2], [3, 2, 1], [4, 5, 6], [7, 6, 5]])
    expected += 0.5 * 12.0 * np.sum((np.cos(angles) + 0.3) ** 2)
    a, b = np.array([1.0, -2, 3, 4]), np.array([5.0, 6, -7, 8])
    for phi in mdtraj.compute_dihedrals(frame, [[0, 1, 2, 3], [4, 5, 6, 7]])[0]:
        n = np.arange(1, 5)
        expected += np.sum(a * np.cos(n * phi) + b * np.sin(n * phi))
    assert energy(positions, TWICE) == pytest.approx(expected, rel=1e-4)


def test_kinds_that_do_not_occur_add_nothing_and_sites_without_bonds_have_none():
    sites = np.array([[0.0, 0, 0], [0.25, 0, 0], [1.0, 1, 1]])
    pair = bonded_sites("ABA", [(0, 1)])
    assert energy(sites, pair) == pytest.approx(0.5 * 900 * 0.05**2)
    assert energy(sites, bonded_sites("ABA", [])) == 0.0


def test_kinds_without_parameters_are_refused_by_name():
    FORM.require(TWICE)
    with pytest.raises(DynmatchError, match=r"no bonded term for A-A; it knows A-B, B-B, A-B-B"):
        FORM.require(bonded_sites("AA", [(0, 1)]))
    with pytest.raises(DynmatchError, match=r"no bonded term for A-B; it knows none"):
        Form(()).require(bonded_sites("AB", [(0, 1)]))
