"""Distributions of pairs of types, and of what is bonded."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynmatch.observables.by_type import bonded, rdf_by_type, rdf_of_types
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import bonded_sites

BOX = np.full(3, 1.5)


@pytest.fixture(scope="module")
def ideal() -> SiteTrajectory:
    """200 frames of 40 dumbbells A-B, 0.2 nm long, anywhere and turned any way."""
    rng = np.random.default_rng(7)
    heads = rng.uniform(0, BOX, (200, 40, 3))
    turns = Rotation.random(8000, random_state=rng).as_matrix()[:, 0].reshape(200, 40, 3)
    positions = np.stack([heads, heads + 0.2 * turns], 2).reshape(200, 80, 3)
    bonds = [(2 * k, 2 * k + 1) for k in range(40)]
    return SiteTrajectory(
        positions.astype(np.float32),
        0.1 * np.arange(200),
        np.ones(80),
        bonded_sites("AB" * 40, bonds),
        BOX,
    )


def test_independent_molecules_have_g_of_one_between_all_types(ideal):
    """5 sigma of the error of each table, beyond 0.3 nm; bonded sites do not count."""
    table = rdf_by_type(rdf_of_types(ideal, 0.05))
    assert list(dict.fromkeys(table.types)) == ["A-A", "A-B", "B-B"]
    beyond = table[table.r_nm > 0.3]
    assert (np.abs(beyond.rdf - 1) < 5 * beyond.error).all()


def test_bond_lengths_have_their_distribution(ideal):
    table = bonded(ideal)
    assert set(table.types) == {"A-B"}
    assert (table.density * 0.002).sum() == pytest.approx(1.0)
    assert np.average(table.value, weights=table.density) == pytest.approx(0.2, abs=0.002)
