"""The classifier's invariances, its gradient, and the closed form of its optimum when linear."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynmatch.sites.topology import independent_sites
from dynmatch.training.classifiers import base
from dynmatch.training.classifiers.base import TENSOR_WEIGHTS, Features
from dynmatch.training.classifiers.neighbours import Classifier, Form
from tests.helpers.fluids import jittered_lattice

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

EDGE = 1.25
BOX = np.full(3, EDGE)
SITES = 14
WIDTHS = dict(cutoff=0.6, inner=0.2, channels=3, scalars=4, vectors=3, tensors=2, hidden=(6, 5))
FORM = Form(independent_sites(["W"] * SITES, "R"), **WIDTHS)


def parts(x, box, form=FORM):
    """Structure and motion of one window (T, N, 3)."""
    return form.structure(x, box), form.motion(x, box)


def features(standard, x, box, form=FORM):
    """What the network is shown of one window."""
    return base.joined(standard, *parts(x, box, form), form.types())


@pytest.fixture(scope="module")
def window(double_precision) -> np.ndarray:
    """Three frames (3, 14, 3): sites near a lattice that move by 0.05 nm and 0.08 nm."""
    rng = np.random.default_rng(1)
    first = jittered_lattice(rng, EDGE, 0.07)[:SITES]
    steps = rng.normal(size=(2, SITES, 3)) * np.array([0.05, 0.08])[:, None, None]
    return np.concatenate([first[None], first + np.cumsum(steps, 0)])


@pytest.fixture(scope="module")
def standard(window):
    """From four windows of the same kind, so that no feature is constant."""
    noise = np.random.default_rng(2).normal(size=(4, *window.shape))
    windows = jax.jit(jax.vmap(lambda x: parts(x, BOX)))
    return base.standard_of(*windows(window + 0.03 * noise), FORM.types())


@pytest.fixture(scope="module")
def variables(window, standard):
    """Random weights and biases, all different from zero."""
    shown = jax.eval_shape(lambda x: features(standard, x, BOX), window)
    shapes = jax.eval_shape(Classifier(FORM).init, jax.random.key(0), shown)
    rng = np.random.default_rng(3)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), shapes)


@pytest.fixture(scope="module")
def score(variables, standard):
    """Mean score of the window positions (3, N, 3) in `box`."""

    @jax.jit
    def mean_score(positions, box):
        return jnp.mean(Classifier(FORM).apply(variables, features(standard, positions, box)))

    return lambda positions, box=BOX: float(mean_score(positions, box))


def test_permutation_of_the_sites_leaves_the_score(score, window):
    order = np.random.default_rng(4).permutation(SITES)
    assert score(window[:, order]) == pytest.approx(score(window), rel=1e-12)


@pytest.mark.parametrize("reflect", [False, True])
def test_rotation_and_reflection_leave_the_score(score, window, reflect):
    turn = Rotation.from_rotvec([0.4, 1.2, -0.5]).as_matrix() * (-1 if reflect else 1)
    huge = np.full(3, 100.0)
    assert score(window @ turn.T, huge) == pytest.approx(score(window, huge), rel=1e-10)


def test_translation_and_drift_of_the_box_leave_the_score(score, window):
    drift = np.array([[0.3, -0.2, 0.9], [1.3, 0.1, -0.4], [0.0, 2.0, 0.7]])
    assert score(window + drift[:, None]) == pytest.approx(score(window), rel=1e-10)


def test_periodic_images_of_single_sites_leave_the_score(score, window):
    images = np.random.default_rng(5).integers(-2, 3, (SITES, 3))
    assert score(window + images * BOX) == pytest.approx(score(window), rel=1e-10)


def test_score_sees_the_order_of_frames_and_the_size_of_displacements(score, window):
    plain = score(window)
    larger = window[:1] + 1.1 * (window - window[:1])
    assert abs(score(window[[0, 2, 1]]) / plain - 1) > 1e-2
    assert abs(score(larger) / plain - 1) > 1e-2


def test_displacements_alone_change_the_score(score):
    """Sites without neighbours have no other feature."""
    lonely = jittered_lattice(np.random.default_rng(6), 30.0, 1.0)[:SITES]
    still = np.stack([lonely] * 3)
    moving = still + np.arange(3)[:, None, None] * 0.1 * np.sin(np.arange(3 * SITES)).reshape(-1, 3)
    box = np.full(3, 30.0)
    assert abs(score(moving, box) - score(still, box)) > 1e-2


def test_gradient_with_respect_to_positions_is_the_finite_difference(window):
    """Also of a site without neighbours and of a pair exactly at the cutoff, where it is finite."""
    box = jnp.full(3, 10.0)
    special = np.array([[5.0, 5.0, 5.0], [5.0, 5.0, 5.6], [8.0, 8.0, 8.0]])
    x = np.concatenate([window, np.stack([special] * 3)], 1)
    form = Form(independent_sites(["W"] * (SITES + 3), "R"), **WIDTHS)
    noise = np.random.default_rng(2).normal(size=(4, *x.shape))
    standard = base.standard_of(
        *jax.vmap(lambda x: parts(x, box, form))(x + 0.03 * noise), form.types()
    )
    shown = jax.eval_shape(lambda x: features(standard, x, box, form), x)
    rng = np.random.default_rng(3)
    variables = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape)),
        jax.eval_shape(Classifier(form).init, jax.random.key(0), shown),
    )

    def value(x):
        return jnp.mean(Classifier(form).apply(variables, features(standard, x, box, form)))

    gradient = np.asarray(jax.jit(jax.grad(value))(x))
    assert np.all(np.isfinite(gradient))
    h = 1e-6
    shifts = h * np.eye(x.size).reshape(-1, *x.shape)
    along = jax.jit(lambda d: jax.lax.map(lambda d: value(x + d), d, batch_size=17))
    difference = np.asarray(along(shifts) - along(-shifts)) / (2 * h)
    np.testing.assert_allclose(
        gradient.ravel(), difference, atol=1e-6 * np.max(np.abs(gradient)), rtol=1e-5
    )
    assert np.any(np.abs(gradient[:, -1]) > 1e-6)
    np.testing.assert_allclose(np.sum(gradient, 1), 0.0, atol=1e-10 * np.sum(np.abs(gradient)))


FOUR = Form(independent_sites(["W"] * 4, "R"), **WIDTHS)


def random_features(seed: int, shift: float = 0.0) -> Features:
    """Features of 5 windows of 4 sites: 3 scalars, 4 vectors and 3 tensors a site."""
    rng = np.random.default_rng(seed)
    shapes = (5, 4, 3), (5, 4, 3, 4), (5, 4, 6, 3)
    return Features(*(jnp.asarray(shift + rng.normal(size=shape)) for shape in shapes))


def test_gradient_penalty_is_the_squared_finite_difference_of_the_site_scores():
    """A stored component that stands for two of a symmetric tensor moves both at once, by half."""
    classifier, shown = Classifier(FOUR), random_features(7)
    variables = jax.jit(classifier.init)(jax.random.key(8), shown)
    penalty = base.gradient_penalty(classifier, variables, shown)

    h, total = 1e-5, 0.0
    apply = jax.jit(classifier.apply)
    for name, block in shown._asdict().items():
        for component in np.ndindex(block.shape[2:]):
            unit = np.zeros(block.shape[2:])
            unit[component] = h
            up, down = (
                apply(variables, shown._replace(**{name: block + sign * unit})) for sign in (1, -1)
            )
            weight = TENSOR_WEIGHTS[component[0]] if name == "rank2" else 1.0
            total += float(np.mean(((up - down) / (2 * h)) ** 2)) / weight
    assert float(penalty) == pytest.approx(total, rel=1e-6)


class LinearScore(nn.Module):
    """Site score w.features."""

    @nn.compact
    def __call__(self, features):
        rows = [x.reshape(*x.shape[:2], -1) for x in features]
        return nn.Dense(1, use_bias=False)(jnp.concatenate(rows, -1))[..., 0]


def test_optimal_linear_classifier_has_the_closed_form_gap():
    r"""<f>_Q - <f>_P + lambda |w|^2 is least, -|D|^2 / 4 lambda, at w = -D / 2 lambda.

    D is the difference of the mean features; R1 and R2 are |w|^2 each. For a component that stands
    for two, -|D|^2 / 2 lambda at w = -D / lambda.
    """
    generated, reference, penalty = random_features(9, shift=0.3), random_features(10), 0.7
    classifier = LinearScore()
    means = [
        np.concatenate([np.mean(x, (0, 1)).ravel() for x in features])
        for features in (generated, reference)
    ]
    difference = means[0] - means[1]
    counts = np.concatenate([np.ones(3 + 12), np.repeat(TENSOR_WEIGHTS, 3)])

    def loss(weights):
        variables = {"params": {"Dense_0": {"kernel": weights[:, None]}}}
        return base.classifier_loss(classifier, variables, generated, reference, penalty)

    best = jnp.asarray(-counts * difference / (2 * penalty))
    value, slope = jax.value_and_grad(loss)(best)
    assert float(value) == pytest.approx(-np.sum(counts * difference**2) / (4 * penalty), rel=1e-9)
    np.testing.assert_allclose(slope, 0.0, atol=1e-12)


def rotated(turn: np.ndarray, shown: Features) -> Features:
    """Features after a rotation of space."""
    full = np.empty((*shown.rank2.shape[:2], 3, 3, shown.rank2.shape[-1]))
    for number, (a, b) in enumerate(base.TENSOR):
        full[:, :, a, b] = full[:, :, b, a] = shown.rank2[:, :, number]
    full = np.einsum("ax,by,wnxyc->wnabc", turn, turn, full)
    packed = np.stack([full[:, :, a, b] for a, b in base.TENSOR], 2)
    vectors = np.einsum("ax,wnxc->wnac", turn, shown.rank1)
    return Features(shown.rank0, jnp.asarray(vectors), jnp.asarray(packed))


def test_the_penalty_does_not_change_under_rotation():
    """It did by percents while the six stored components counted alike."""
    classifier, shown = Classifier(FOUR), random_features(7)
    variables = jax.jit(classifier.init)(jax.random.key(8), shown)
    turn = Rotation.from_rotvec([0.4, 1.2, -0.5]).as_matrix()
    before, after = (
        float(base.gradient_penalty(classifier, variables, each))
        for each in (shown, rotated(turn, shown))
    )
    assert after == pytest.approx(before, rel=1e-10)


def test_standardised_features_of_the_reference_have_unit_size():
    """Zero mean and unit variance of scalars, unit mean square of vector components; and the
    motion's vectors are uncorrelated."""
    structure = random_features(11, shift=0.3)
    rng = np.random.default_rng(12)
    moved = rng.normal(size=(5, 4, 3, 3)) @ np.array([[1.0, 0.9, 0.1], [0, 0.2, 0.5], [0, 0, 0.01]])
    motion = Features(jnp.zeros((5, 4, 0)), jnp.asarray(moved), jnp.zeros((5, 4, 6, 0)))
    types = np.zeros(4, int)
    plain = base.joined(base.standard_of(structure, motion, types), structure, motion, types)
    np.testing.assert_allclose(np.mean(plain.rank0, (0, 1)), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.std(plain.rank0, (0, 1)), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.mean(plain.rank1[..., :4] ** 2, (0, 1, 2)), 1.0, rtol=1e-12)
    vectors = np.asarray(plain.rank1[..., 4:]).reshape(-1, 3)
    np.testing.assert_allclose(vectors.T @ vectors / len(vectors), np.eye(3), atol=1e-9)


def test_types_are_standardised_each_by_itself():
    structure, motion = random_features(11, shift=0.3), random_features(13)
    types = np.array([0, 1, 1, 0])
    standard = base.standard_of(structure, motion, types)
    plain = base.joined(standard, structure, motion, types)
    for number in (0, 1):
        own = plain.rank0[:, types == number]
        np.testing.assert_allclose(np.mean(own, (0, 1)), 0.0, atol=1e-12)


def test_the_structure_is_that_of_the_first_frame_and_the_last(window):
    """What lies between is seen as motion only."""
    moved = window.copy()
    moved[1] += 0.05 * np.random.default_rng(14).normal(size=window[1].shape)
    for before, after in zip(*(FORM.structure(x, BOX) for x in (window, moved)), strict=True):
        np.testing.assert_array_equal(before, after)
    assert np.abs(FORM.motion(window, BOX).rank1 - FORM.motion(moved, BOX).rank1).max() > 1e-3
