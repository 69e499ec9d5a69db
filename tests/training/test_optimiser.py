"""Newton's step of the dynamics, and what of it moves gamma, alpha and m."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.dynamics.registry import equation_of
from dynmatch.training.classifiers.base import Standard
from dynmatch.training.optimiser import (
    CAUTION,
    DAMPING,
    TRUST,
    NaturalState,
    Response,
    changes_of_values,
    natural_step,
    rate_of,
)

KINDS = {"bd": ["gamma"], "ld": ["gamma", "mass"]}


def change(kind: str, freeze: tuple[str, ...], wanted: dict[str, list[float]], types: int = 1):
    """Changes of the logarithms of all values for `wanted` changes of what can be identified."""
    equation = equation_of(kind)
    matrix, names = changes_of_values(equation, freeze, types)
    sizes = [types if equation.parameters[name].of_type else 1 for name in names]
    moved = np.split(matrix @ np.concatenate(list(wanted.values())), np.cumsum(sizes)[:-1])
    return dict(zip(names, moved, strict=True))


def test_friction_moves_and_leaves_the_effective_mass():
    moved = change("ld", (), {"gamma_over_alpha": [1.0], "mass_over_alpha2": [0.0]})
    assert moved["gamma"] - moved["alpha"] == pytest.approx(1.0)
    assert moved["mass"] - 2 * moved["alpha"] == pytest.approx(0.0, abs=1e-12)
    # the shortest way there: alpha helps, and takes m along
    assert moved["alpha"] < 0
    assert moved["mass"] < 0


@pytest.mark.parametrize("frozen", [(), ("alpha",), ("gamma",)])
def test_types_have_frictions_and_masses_of_their_own_and_one_alpha(frozen):
    """With gamma frozen, alpha alone can follow what is common to both."""
    wanted = {"gamma_over_alpha": [0.3, 0.3], "mass_over_alpha2": [-0.2, 0.1]}
    moved = change("ld", frozen, wanted, types=2)
    np.testing.assert_allclose(moved["gamma"] - moved["alpha"], 0.3, atol=1e-9)
    np.testing.assert_allclose(moved["mass"] - 2 * moved["alpha"], [-0.2, 0.1], atol=1e-9)
    for name in frozen:
        np.testing.assert_allclose(moved[name], 0.0, atol=1e-12)


def test_brownian_dynamics_has_no_mass_to_move():
    assert change("bd", (), {"gamma_over_alpha": [1.0]}).keys() == {"alpha", "gamma"}


def response_of(spread: np.ndarray) -> Response:
    """Of one type without scalars, from the change (D, V, V) of the covariance of its vectors."""
    return Response(jnp.zeros((len(spread), 1, 0)), jnp.asarray(spread[:, None], jnp.float32))


def start(size: int, vectors: int) -> NaturalState:
    nothing = [jnp.zeros((1, 0))] * 2
    standard = Standard(*nothing, *nothing, *nothing, jnp.zeros((1, vectors, vectors)))
    return NaturalState.start(size, standard)


def symmetric(rng, size: int, vectors: int) -> np.ndarray:
    made = rng.normal(size=(size, vectors, vectors))
    return made + np.swapaxes(made, 1, 2)


def gradient_of(spread: np.ndarray, off: np.ndarray, penalty: float) -> np.ndarray:
    """Of the mean score under the covariance C = 1 + sum off spread, three components a vector, by
    the classifier that is the best of all quadratic ones: M with s = sum_k v_k^T M v_k, where the
    mean of s over C less that over 1, and penalty times the squared slope of s, is least."""
    excess = np.einsum("d,dst->st", off, spread)

    def loss(m):
        return 3 * np.sum(m * excess) + penalty * 12 * np.sum(m * m)

    m = -excess / (8 * penalty)
    for other in symmetric(np.random.default_rng(2), 20, len(m)):
        assert loss(m) < loss(m + 1e-3 * other)
    return 3 * np.einsum("st,dst->d", m, spread)


@pytest.mark.parametrize("penalty", [1.0, 0.3])
def test_the_step_against_the_best_quadratic_classifier_is_what_the_values_are_off(penalty):
    rng = np.random.default_rng(1)
    spread, off = symmetric(rng, 3, 5), np.array([0.02, -0.05, 0.03])
    gradient = gradient_of(spread, off, penalty).astype(np.float32)
    step, _ = natural_step(start(3, 5), jnp.asarray(gradient), response_of(spread), penalty, 0.0)
    np.testing.assert_allclose(step, -off, rtol=5 * DAMPING, atol=5 * DAMPING * 0.05)


def test_steps_do_not_depend_on_the_parametrisation():
    """x = M y: gradient M^T g and response M^T C' give the step M^-1 dx, up to the damping."""
    rng = np.random.default_rng(1)
    spread, gradient = symmetric(rng, 3, 5), 0.1 * rng.normal(size=3)
    mixing = np.eye(3) + 0.2 * rng.normal(size=(3, 3))
    step, _ = natural_step(start(3, 5), jnp.asarray(gradient), response_of(spread), 1.0, 0.0)
    mixed = response_of(np.einsum("de,dst->est", mixing, spread))
    other, _ = natural_step(start(3, 5), jnp.asarray(mixing.T @ gradient), mixed, 1.0, 0.0)
    tolerance = 5 * DAMPING * np.abs(step).max()
    np.testing.assert_allclose(mixing @ other, step, atol=tolerance)


def test_what_hardly_shows_hardly_moves_and_nothing_moves_far():
    spread = np.zeros((2, 2, 2))
    spread[0, 0, 0], spread[1, 1, 1] = 1.0, np.sqrt(DAMPING / 20)
    small, mean = 0.5 * DAMPING / 20, 0.25

    def damped(damping):
        return 4 / 3 * 1e-5 * small / (small**2 + (damping * mean) ** 2)

    for gradient, gap, expected in (
        (1e-5, 0.0, damped(DAMPING)),
        (1e-5, 0.4, damped(DAMPING + 0.4 * CAUTION)),
        (1.0, 0.0, TRUST),
    ):
        gradient = jnp.array([0.0, gradient])
        step, _ = natural_step(start(2, 2), gradient, response_of(spread), 1.0, gap)
        assert float(step[1]) == pytest.approx(expected, rel=0.01)
        assert float(step[0]) == 0.0


def test_what_does_not_show_does_not_move():
    """One lag, friction and mass: their responses are one number each, and the metric has rank 1.
    What the gradient has across it is noise."""
    spread = np.array([1.0, -0.03]).reshape(2, 1, 1)
    gradient = jnp.array([0.01, 0.002])
    step, _ = natural_step(start(2, 1), gradient, response_of(spread), 1.0, 0.0)
    direction = np.array([-0.03, -1.0]) / np.hypot(0.03, 1.0)
    assert abs(step @ direction) < 1e-3 * np.linalg.norm(step)


def test_sampling_noise_of_a_response_does_not_make_it_look_large():
    """A response of 0.01 under noise of 1: the metric of 200 updates of a mean with a memory of
    about 39 of them is 1/39 of the noise's, and that of the mean of metrics all of it."""
    rng = np.random.default_rng(1)
    state = start(1, 2)
    step, seen = jax.jit(natural_step), []
    for _ in range(400):
        noisy = response_of(0.01 + rng.normal(size=(1, 2, 2)))
        _, state = step(state, jnp.zeros(1), noisy, 1.0, 0.0)
        seen.append(float(state.response.metric()[0, 0]))
    assert np.mean(seen[200:]) == pytest.approx(0.5 * 4 / 39, rel=0.4)


def test_rates_rise_and_fall():
    schedule = rate_of(0.1, 60)
    values = [float(schedule(n)) for n in range(61)]
    assert values[0] == 0.0
    assert max(values) == pytest.approx(0.1)
    assert np.argmax(values) == 15
    assert values[60] == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(values[16:]) < 0).all()
