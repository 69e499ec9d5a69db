"""Internal coordinates as MDTraj has them, and those that a molecule's bonds make."""

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynmatch.errors import DynmatchError
from dynmatch.sites.internal_coordinates import coordinate, coordinates_of, zmatrix
from tests.helpers.fluids import unbonded
from tests.helpers.molecules import BACKBONE, CHAIN, trajectory_of

BOX = np.array([2.0, 2.2, 2.4])


def test_coordinates_are_those_of_mdtraj():
    rng = np.random.default_rng(1)
    positions = rng.uniform(0, 2, (20, 4, 3))
    frames = mdtraj.Trajectory(
        positions,
        unbonded("AAAA").to_mdtraj(),
        unitcell_lengths=np.tile(BOX, (20, 1)),
        unitcell_angles=np.full((20, 3), 90.0),
    )
    r = coordinate(positions, np.array([[0, 1], [2, 3]]), BOX)
    np.testing.assert_allclose(r, mdtraj.compute_distances(frames, [[0, 1], [2, 3]]), atol=1e-5)
    c = coordinate(positions, np.array([[0, 1, 2]]), BOX)
    np.testing.assert_allclose(c, np.cos(mdtraj.compute_angles(frames, [[0, 1, 2]])), atol=1e-4)
    phi = coordinate(positions, np.array([[0, 1, 2, 3]]), BOX)
    apart = phi - mdtraj.compute_dihedrals(frames, [[0, 1, 2, 3]])
    np.testing.assert_allclose(np.cos(apart), 1.0, atol=1e-6)


def test_the_coordinates_of_a_backbone():
    assert zmatrix(BACKBONE, 6) == CHAIN


def test_there_are_as_many_coordinates_as_shapes():
    """3N - 6 of a branched tree, all independent: that is the rank of their Jacobian."""
    bonds = ((0, 1), (1, 2), (1, 3), (3, 4), (3, 5), (3, 6), (5, 7))
    chain = zmatrix(bonds, 8)
    groups = (chain.lengths, chain.angles, chain.torsions, chain.impropers)
    assert [len(group) for group in groups] == [7, 6, 2, 3]
    x = jnp.asarray(np.random.default_rng(3).normal(size=(8, 3)))

    def all_of(x):
        return jnp.concatenate([coordinate(x, np.array(g), 100.0, jnp) for g in groups])

    assert np.linalg.matrix_rank(jax.jacobian(all_of)(x).reshape(18, 24), tol=1e-4) == 18


def test_a_main_chain_goes_on_to_the_next_residue():
    """Both oxygens of two amides end their branches, as the next nitrogen does: psi is N's."""
    bonds = ((0, 1), (0, 2), (2, 3), (3, 4), (3, 5), (5, 6), (5, 7))
    assert zmatrix(bonds, 8).torsions == ((1, 0, 2, 3), (0, 2, 3, 5), (2, 3, 5, 7))


def test_a_torsion_that_rattles_in_one_well_is_an_improper():
    """A chain of five, one end turned freely about its bond, the other by 0.18 rad."""
    rng = np.random.default_rng(7)
    zigzag = 0.1 * np.array([[0, 0.5, 0], [1, 0, 0], [2, 0.5, 0], [3, 0, 0], [4, 0.5, 0]])
    x = np.tile(zigzag, (3000, 1, 1))
    for site, a, b, angles in (
        (0, 1, 2, rng.normal(0, 0.18, 3000)),
        (4, 2, 3, rng.uniform(-np.pi, np.pi, 3000)),
    ):
        axis = (x[:, b] - x[:, a]) / np.linalg.norm(x[0, b] - x[0, a])
        turn = Rotation.from_rotvec(angles[:, None] * axis)
        x[:, site] = x[:, a] + turn.apply(x[:, site] - x[:, a])
    found = coordinates_of(trajectory_of(x, ((0, 1), (1, 2), (2, 3), (3, 4))))
    assert found.torsions == ((1, 2, 3, 4),)
    assert found.impropers == ((0, 1, 2, 3),)


@pytest.mark.parametrize("bonds", [((0, 1), (1, 2), (2, 0)), ((0, 1), (2, 3))])
def test_rings_and_pieces_are_refused(bonds):
    with pytest.raises(DynmatchError, match=r"one molecule without rings"):
        zmatrix(bonds, 1 + max(map(max, bonds)))
