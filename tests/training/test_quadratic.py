"""The quadratic part of the classifier: its optimum, and what sampling noise does to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.training.classifiers import quadratic

TYPES = np.array([0, 1, 0, 1, 1])


def with_covariance(covariance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vectors (W, N, 3, V) with exactly this covariance (T, V, V) over all windows, by type."""
    vectors = rng.normal(size=(7, len(TYPES), 3, covariance.shape[-1]))
    for number, wanted in enumerate(covariance):
        own = vectors[:, number == TYPES].reshape(-1, covariance.shape[-1])
        has = np.linalg.cholesky(own.T @ own / len(own))
        own = own @ np.linalg.inv(has).T @ np.linalg.cholesky(wanted).T
        vectors[:, number == TYPES] = own.reshape(7, -1, 3, covariance.shape[-1])
    return vectors


@pytest.mark.parametrize("penalty", [0.5, 2.0])
def test_the_answer_is_the_minimum_of_the_classifier_s_loss(penalty):
    """<f>_Q - <f>_P + penalty/2 (<|df/dv|^2>_P + <|df/dv|^2>_Q), in each type."""
    rng = np.random.default_rng(1)
    off = 0.2 * rng.normal(size=(2, 3, 3))
    off = off + np.swapaxes(off, 1, 2)
    # alike in the mean: what whitening makes true near the end
    p, q = (with_covariance(np.eye(3) + sign * off, rng) for sign in (1, -1))

    def loss(b):
        def parts(vectors):
            def score(v):
                return jnp.sum(quadratic.scores(jnp.broadcast_to(b, (7, *b.shape)), v, TYPES))

            score, slope = jax.value_and_grad(score)(vectors)
            return score, jnp.sum(slope**2)

        (score_p, square_p), (score_q, square_q) = parts(p), parts(q)
        return score_q - score_p + 0.5 * penalty * (square_p + square_q)

    mean_p, mean_q = (quadratic.covariances(jnp.asarray(x), TYPES).mean(0) for x in (p, q))
    best = quadratic.answer(mean_q, mean_p, penalty)
    slope = jax.grad(loss)(best)
    assert np.abs(jax.grad(loss)(jnp.zeros_like(best))).max() > 1
    np.testing.assert_allclose(slope, 0.0, atol=1e-3)


def test_a_window_that_is_judged_by_the_others_is_judged_without_bias():
    """Model and reference alike, V = 20 vectors, 4 windows of 30 components each: the slope of the
    score when all displacements grow has mean 0. Judged by all windows, its own among them, it has
    -2 tr(<dC C>)/8 = -V (V + 1)/(4 n), n the number of components. 400 draws, fixed seed; the
    standard error comes from these."""
    rng, size, windows, sites = np.random.default_rng(2), 20, 4, 10
    types = np.zeros(sites, int)
    one = np.eye(size, dtype=np.float32)[None]

    @jax.jit
    def slopes(vectors):
        own = quadratic.covariances(vectors, types)
        everyone = jnp.mean(own, 0)
        others = quadratic.others(own, everyone, windows)
        found = []
        for seen in (others, jnp.broadcast_to(everyone, own.shape)):
            answers = quadratic.answer(seen, one, 1.0)
            # scores are of second order: growing by a factor 1 + e, they grow by 2 e of themselves
            found.append(2 * jnp.mean(quadratic.scores(answers, vectors, types)) / 3)
        return jnp.stack(found)

    drawn = rng.normal(size=(400, windows, sites, 3, size)).astype(np.float32)
    each = np.array([slopes(vectors) for vectors in drawn])
    mean, error = each.mean(0), each.std(0) / np.sqrt(len(each))
    assert abs(mean[0]) < 3 * error[0]
    biased = -size * (size + 1) / (4 * windows * sites * 3)
    assert abs(biased) > 10 * error[0]
    assert mean[1] == pytest.approx(biased, abs=3 * error[1])
