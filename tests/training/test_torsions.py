"""The classifier of one molecule by itself: invariances, and what it tells apart."""

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynmatch.training.classifiers import base
from dynmatch.training.classifiers.torsions import Form
from tests.helpers.molecules import CHAIN, FORM, molecule

CLASSIFIER = Form(FORM, (6,))
BOX = np.full(3, 100.0)


def parts(x):
    """Structure and motion of one window (T, 6, 3)."""
    return CLASSIFIER.structure(x, BOX), CLASSIFIER.motion(x, BOX)


@pytest.fixture(scope="module")
def window():
    return molecule(np.random.default_rng(8), (3,))


@pytest.fixture(scope="module")
def score():
    many = jnp.asarray(molecule(np.random.default_rng(9), (50, 3)), jnp.float32)
    standard = base.standard_of(*jax.vmap(parts)(many), CLASSIFIER.types())

    @jax.jit
    def features(x):
        return base.joined(standard, *parts(x), CLASSIFIER.types())

    network = CLASSIFIER.network()
    variables = network.init(jax.random.key(2), features(many[0]))
    return lambda x: float(network.apply(variables, features(jnp.asarray(x, jnp.float32)))[0])


def test_moving_and_turning_a_window_changes_nothing(score, window):
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    assert score((window - 7) @ turn.T + 2) == pytest.approx(score(window), abs=1e-4)


def test_it_sees_chirality_order_and_drift(score, window):
    """A mirror image, the same frames backwards, and a molecule that moves as a whole."""
    drifting = window + np.linspace(0, 1, 3)[:, None, None]
    for other in (window * [1, 1, -1], window[::-1], drifting):
        assert abs(score(other) - score(window)) > 1e-3


def test_what_it_sees_are_torsions_their_changes_and_the_way_of_the_whole(window):
    """Against MDTraj's dihedrals, and displacements of the mean of all sites."""
    frames = mdtraj.Trajectory(window, None)
    phi = mdtraj.compute_dihedrals(frames, CHAIN.torsions, periodic=False)
    structure, motion = (each.rank0 for each in parts(jnp.asarray(window, jnp.float32)))
    expected = np.concatenate([np.cos(phi), np.sin(phi)], 1).ravel()
    np.testing.assert_allclose(structure, expected[None], atol=1e-4)
    change = np.diff(phi, axis=0)
    whole = np.sum(np.diff(window.mean(1), axis=0) ** 2, 1, keepdims=True)
    expected = np.concatenate([np.cos(change), np.sin(change), whole], 1).ravel()
    np.testing.assert_allclose(motion, expected[None], atol=1e-4)
