"""Separations: nearest images, and which pairs of sites are put beyond every range."""

import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.potentials.separations import BLOCK, FAR, in_blocks, separations
from tests.helpers.fluids import bonded_sites, lists_within

pytestmark = pytest.mark.usefixtures("double_precision")

BOX = np.array([1.2, 1.3, 1.4])
CHAIN = bonded_sites("ABABABA", [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
"""Six sites in a row, and one by itself."""


@pytest.fixture(scope="module")
def positions():
    return np.random.default_rng(1).uniform(-1, 2, (7, 3))


def nearest(positions) -> np.ndarray:
    """R_i - R_j (N, N, 3) by trying all images."""
    images = np.stack(np.meshgrid(*[[-3, -2, -1, 0, 1, 2, 3]] * 3), -1).reshape(-1, 3) * BOX
    d = positions[:, None] - positions[None]
    tried = d[:, :, None] + images
    best = np.argmin(np.linalg.norm(tried, axis=-1), -1)
    return np.take_along_axis(tried, best[..., None, None], 2)[:, :, 0]


def test_they_are_those_of_the_nearest_images_and_not_of_linked_sites(positions):
    """As (K, N): neighbours first. Sites up to three bonds apart, and a site itself, are far."""
    d, s = separations(jnp.asarray(positions), BOX, None, CHAIN, unit=0.5)
    expected = nearest(positions) / 0.5
    np.testing.assert_allclose(np.stack(d, -1), expected.swapaxes(0, 1), atol=1e-12)
    apart = np.abs(np.arange(7)[:, None] - np.arange(7)) > 3
    apart[6, :6] = apart[:6, 6] = True
    squares = np.where(apart, np.sum(expected**2, -1), FAR)
    np.testing.assert_allclose(s, squares, rtol=1e-12)


def test_lists_and_parts_of_the_sites_give_the_same(positions):
    near = lists_within(positions, BOX, 0.9, 2)
    d, s = separations(jnp.asarray(positions), BOX, None, CHAIN)
    listed, squares = separations(jnp.asarray(positions), BOX, near, CHAIN)
    some = np.array([4, 1, 7])
    part, of_part = separations(jnp.asarray(positions), BOX, near[:, [4, 1, 0]], CHAIN, sites=some)
    for slot in range(near.shape[0]):
        for site in range(7):
            j = int(near[slot, site])
            assert squares[slot, site] == pytest.approx(FAR if j == 7 else float(s[j, site]))
            if j < 7:
                assert listed[0][slot, site] == pytest.approx(float(d[0][j, site]))
    np.testing.assert_array_equal(of_part[:, :2], squares[:, [4, 1]])
    np.testing.assert_array_equal(part[2][:, :2], listed[2][:, [4, 1]])


def test_blocks_cover_every_site_once():
    """More sites than two blocks hold, and no multiple of a block."""
    n = 2 * BLOCK + 17
    near = jnp.tile(jnp.arange(n), (2, 1))

    def function(given, sites, own):
        return given + jnp.sum(sites < n), jnp.stack([sites, own[0], own[1]], 1)

    given, own = in_blocks(function, jnp.zeros((), int), near)
    assert int(given) == n
    np.testing.assert_array_equal(own, np.arange(n)[:, None] * [1, 1, 1])
