"""The classifier of several types of sites and of molecules: what it tells apart, what it sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynmatch.training.classifiers import base
from dynmatch.training.classifiers.base import TENSOR_WEIGHTS, Features
from dynmatch.training.classifiers.neighbours import Classifier, Form
from tests.helpers.fluids import bonded_sites

pytestmark = pytest.mark.usefixtures("quick_compilation")

SITES = bonded_sites("ABABBA", [(0, 1), (2, 3)])
FORM = Form(SITES, 0.7, 0.2, channels=4, hidden=(8,))
HUGE_BOX = jnp.full(3, 100.0)


def parts(form: Form, x, box=HUGE_BOX) -> tuple[Features, Features]:
    return form.structure(x, box), form.motion(x, box)


@pytest.fixture(scope="module")
def window() -> np.ndarray:
    """Two frames of six sites, 0-1 and 2-3 bonded."""
    sites = np.random.default_rng(4).uniform(0, 0.8, (6, 3))
    return np.stack([sites, sites + np.random.default_rng(5).normal(0, 0.05, (6, 3))])


@pytest.fixture(scope="module")
def score(window):
    """Score of a window by a random classifier; equal sites are standardised alike."""
    noise = np.random.default_rng(7).normal(0, 0.1, (40, *window.shape))
    many = jax.vmap(lambda x: parts(FORM, x))(jnp.asarray(window + noise))
    standard = base.standard_of(*many, FORM.types())

    def features(positions):
        return base.joined(standard, *parts(FORM, positions), FORM.types())

    variables = Classifier(FORM).init(jax.random.key(1), features(jnp.asarray(window)))
    return jax.jit(lambda x: jnp.mean(Classifier(FORM).apply(variables, features(x))))


def test_the_score_is_invariant_but_tells_types_apart(score, window):
    before = float(score(window))
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    assert float(score(window @ turn.T + 3.0)) == pytest.approx(before, abs=5e-5)
    # 4 and 5 have no bonds: they may not be exchanged, being of two types
    assert float(score(window[:, [0, 1, 2, 3, 5, 4]])) != pytest.approx(before, abs=2e-4)
    # two molecules of the same kind may be
    assert float(score(window[:, [2, 3, 0, 1, 4, 5]])) == pytest.approx(before, abs=5e-5)


def test_of_a_bond_the_direction_is_seen_and_not_the_length(window):
    """Site 1, at twice its distance from 0 and alone: only directions are left."""
    far = window.copy()[:1]
    far[0, 2:] += 20 * np.arange(1, 5)[:, None]
    longer = far.copy()
    longer[0, 1] = far[0, 0] + 2 * (far[0, 1] - far[0, 0])
    one, other = (FORM.structure(jnp.asarray(x), jnp.full(3, 1e3)) for x in (far, longer))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a[:2], b[:2], atol=1e-5)
    towards = (far[0, 1] - far[0, 0]) / np.linalg.norm(far[0, 1] - far[0, 0])
    np.testing.assert_allclose(np.abs(one.rank1[0, :, -1]), np.abs(towards), atol=1e-5)
    np.testing.assert_allclose(one.rank1[0, :, :-1], 0.0, atol=1e-6)


def test_each_type_of_neighbour_has_channels_of_its_own():
    """A site between an A and a B: moved away, either changes its own channels only."""
    form = Form(bonded_sites("AAB", []), 0.7, 0.2, channels=4, hidden=())
    near = np.array([[[0.0, 0, 0], [0.4, 0, 0], [0, 0.4, 0]]])
    away = [near + 5.0 * np.eye(3)[site][:, None] for site in (1, 2)]
    seen = np.asarray(form.structure(jnp.asarray(near), HUGE_BOX).rank0[0])
    without = [np.asarray(form.structure(jnp.asarray(x), HUGE_BOX).rank0[0]) for x in away]
    assert np.abs(seen).min() > 0
    for changed, kept in ((slice(0, 4), slice(4, 8)), (slice(4, 8), slice(0, 4))):
        alone = without.pop(0)
        np.testing.assert_array_equal(alone[changed], 0.0)
        np.testing.assert_array_equal(alone[kept], seen[kept])


def test_standardised_features_have_unit_size_in_each_type():
    rng = np.random.default_rng(6)
    scales = np.where(SITES.types == 0, 1.0, 7.0)
    structure = Features(
        jnp.asarray(scales[:, None] * rng.normal(2, 1, (50, 6, 3))),
        jnp.asarray(scales[:, None, None] * rng.normal(0, 1, (50, 6, 3, 4))),
        jnp.asarray(scales[:, None, None] * rng.normal(0, 1, (50, 6, 6, 2))),
    )
    motion = Features(
        jnp.zeros((50, 6, 0)),
        jnp.asarray(scales[:, None, None] * rng.normal(0, 0.1, (50, 6, 3, 2))),
        jnp.zeros((50, 6, 6, 0)),
    )
    standard = base.standard_of(structure, motion, SITES.types)
    plain = base.joined(standard, structure, motion, SITES.types)
    for sites in FORM.members:
        np.testing.assert_allclose(np.mean(plain.rank0[:, sites], (0, 1)), 0.0, atol=1e-5)
        np.testing.assert_allclose(np.std(plain.rank0[:, sites], (0, 1)), 1.0, rtol=1e-5)
        np.testing.assert_allclose(np.mean(plain.rank1[:, sites] ** 2, (0, 1, 2)), 1.0, rtol=1e-5)
        squares = plain.rank2[:, sites] ** 2 * TENSOR_WEIGHTS[:, None]
        np.testing.assert_allclose(np.mean(squares, (0, 1, 2)), 1.0, rtol=1e-5)


def test_a_type_that_never_has_a_neighbour_has_a_score():
    """Sites of the second type are linked to one another and out of reach of the first: what is
    zero in the whole reference stays so when standardised, and the score finite."""
    rng = np.random.default_rng(6)
    near = rng.normal(0.75, 0.1, (3, 3))
    far = np.array([[0.0, 0.0, 10.0], [0.2, 0.0, 10.0]])
    windows = np.concatenate([near, far]) + rng.normal(0, 0.03, (8, 2, 5, 3))
    form = Form(bonded_sites("AAABB", [(3, 4)]), 0.7, 0.2, channels=4, hidden=(8,))
    given = jax.vmap(lambda x: parts(form, x, jnp.full(3, 20.0)))(jnp.asarray(windows))
    features = base.joined(base.standard_of(*given, form.types()), *given, form.types())
    np.testing.assert_array_equal(features.rank0[:, 3:], 0.0)
    network = Classifier(form)
    scores = network.apply(network.init(jax.random.key(1), features), features)
    assert np.isfinite(scores).all()
    assert np.ptp(scores[:, 3]) > 0  # its own displacements are seen
