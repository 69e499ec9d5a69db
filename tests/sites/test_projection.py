"""Steps of a projection in closed form: the mapping, whole groups, and unwrapping."""

import numpy as np

from dynmatch.sites.projection import apply_mapping, centre_of_mass_mapping, make_whole, unwrap

GROUPS = [np.array([0, 3]), np.array([1, 2, 4]), np.array([6])]
MASS = np.array([1.0, 2.0, 3.0, 4.0, 0.0, 9.0, 7.0])


def test_mapping_is_a_weighted_mean_over_each_group():
    matrix = centre_of_mass_mapping(GROUPS, MASS).toarray()
    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    expected = np.zeros((3, 7))
    expected[0, [0, 3]] = 0.2, 0.8
    expected[1, [1, 2]] = 0.4, 0.6
    expected[2, 6] = 1
    np.testing.assert_allclose(matrix, expected)


def test_massless_sites_have_no_part_in_a_group():
    assert (centre_of_mass_mapping(GROUPS, MASS) > 0).sum() == 5


def test_mapping_conserves_centre_of_mass_and_momentum():
    values = np.random.default_rng(0).normal(size=(4, 7, 3))
    members = np.concatenate(GROUPS)
    sites = apply_mapping(centre_of_mass_mapping(GROUPS, MASS), values)
    site_masses = np.array([MASS[group].sum() for group in GROUPS])
    np.testing.assert_allclose(
        np.einsum("fnd,n->fd", sites, site_masses),
        np.einsum("fnd,n->fd", values[:, members], MASS[members]),
    )


def test_molecules_broken_by_the_boundary_are_made_whole():
    rng = np.random.default_rng(1)
    box = np.array([1.0, 1.5, 2.0])
    whole = rng.uniform(0, 1, (5, 4, 1, 3)) * box + rng.normal(0, 0.05, (5, 4, 3, 3))
    whole = whole.reshape(5, 12, 3)
    groups = np.arange(12).reshape(4, 3)
    mended = make_whole(whole % box, list(groups), box)
    # whole again up to a common lattice vector of each molecule
    shift = ((mended - whole) / box).reshape(5, 4, 3, 3)
    np.testing.assert_allclose(shift, np.round(shift), atol=1e-12)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :, :1], shift.shape), atol=1e-12)


def test_unwrapped_motion_is_continuous_across_the_boundary():
    box = np.array([1.0, 1.5, 2.0])
    start = np.array([[0.1, 0.2, 0.3], [0.9, 1.4, 1.9]])
    velocity = np.array([[0.37, -0.6, 0.9], [-0.3, 0.7, 0.8]])
    straight = start + np.arange(40)[:, None, None] * velocity
    wrapped = straight % box
    first = unwrap(wrapped[:17], wrapped[0], box)
    second = unwrap(wrapped[17:], first[-1], box)
    np.testing.assert_allclose(np.concatenate([first, second]), straight, atol=1e-12)
