"""A box, repeated along its edges."""

import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import minimum_image
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory

BOX = np.array([2.0, 2.5, 3.0])
OBLIQUE = np.array([[2.0, 0.0, 0.0], [0.5, 2.5, 0.0], [-0.4, 0.6, 3.0]])


def pairs_of_sites(box) -> SiteTrajectory:
    """Two molecules of two bonded sites at opposite corners of the box: neighbours across its
    faces."""
    x = np.array([[0.1, 0.1, 0.1], [-0.1, 0.0, 0.1], [1.9, 2.4, 2.8], [2.0, 2.4, 2.9]])
    topology = SiteTopology(("A", "B") * 2, (0, 0, 1, 1), ("M", "M"), ((0, 1), (2, 3)))
    x = np.stack([x, x + 0.01])
    return SiteTrajectory(x, np.arange(2.0), np.array([1.0, 2.0, 1.0, 2.0]), topology, box)


@pytest.mark.parametrize("box", [BOX, OBLIQUE], ids=["rectangular", "triclinic"])
def test_separations_in_the_small_box_are_those_of_eight_in_the_large_one(box):
    """Every minimum image (i, j) of the small box is one of the large box, eight times."""
    small, large = pairs_of_sites(box), pairs_of_sites(box).repeated(2)

    def separations(trajectory):
        x = trajectory.positions[1]
        return minimum_image(x[:, None] - x[None], np.asarray(trajectory.box))

    one, many = separations(small), separations(large).reshape(8, 4, 8, 4, 3)
    for cell in range(8):
        found = many[cell].transpose(1, 0, 2, 3)
        gap = np.abs(found - one).max(-1)
        assert np.all((gap < 1e-9).sum(0) == 1)


def test_masses_bonds_and_residues_go_with_the_sites():
    large = pairs_of_sites(BOX).repeated(3)
    assert large.n_sites == 27 * 4
    assert large.topology.names == ("A", "B") * 54
    assert large.masses.sum() == 27 * 6.0
    np.testing.assert_array_equal(large.box, 3 * BOX)
    bonds = np.array(large.topology.bonds)
    lengths = np.linalg.norm(
        large.positions[0][bonds[:, 0]] - large.positions[0][bonds[:, 1]], axis=1
    )
    np.testing.assert_allclose(lengths, np.tile([np.hypot(0.2, 0.1), np.hypot(0.1, 0.1)], 27))
    assert len(set(large.topology.residues)) == 54


def test_sites_without_a_box_are_not_repeated():
    with pytest.raises(DynmatchError, match="without a periodic box"):
        pairs_of_sites(None).repeated(2)
