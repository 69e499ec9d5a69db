"""The natural gradient of the dynamics, and what of it moves gamma, alpha and m."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.dynamics.registry import equation_of
from dynmatch.training.optimiser import (
    DAMPING,
    NaturalState,
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


def run(gradients: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """Directions (S, D) of successive gradients (S, D)."""
    state, steps = NaturalState.start(gradients.shape[1]), []
    step = jax.jit(natural_step)
    for gradient in gradients:
        direction, state = step(state, jnp.asarray(gradient), jnp.asarray(metric))
        steps.append(np.asarray(direction))
    return np.array(steps)


def test_steps_do_not_depend_on_the_parametrisation():
    """x = M y: gradient M^T g and metric M^T F M give the step M^-1 dx, up to the damping."""
    rng = np.random.default_rng(1)
    root = rng.normal(size=(3, 3))
    metric = root @ root.T + 3 * np.eye(3)
    gradients = rng.normal(size=(6, 3)).astype(np.float32)
    mixing = np.eye(3) + 0.2 * rng.normal(size=(3, 3))
    steps = run(gradients, metric.astype(np.float32))
    other = run((gradients @ mixing).astype(np.float32), (mixing.T @ metric @ mixing))
    np.testing.assert_allclose(other @ mixing.T, steps, atol=0.1 * np.abs(steps).max())
    plain = run((gradients @ mixing).astype(np.float32), np.eye(3))
    assert np.abs(plain @ mixing.T - steps).max() > 0.3 * np.abs(steps).max()


def test_a_steady_gradient_gives_steps_of_unit_length_in_the_metric():
    metric = np.diag([4.0, 0.25]).astype(np.float32)
    steps = run(np.tile(np.float32([1.0, -1.0]), (40, 1)), metric)
    damped = metric + DAMPING * np.trace(metric) / 2 * np.eye(2)
    assert steps[-1] @ damped @ steps[-1] == pytest.approx(1.0, rel=0.02)


def test_what_hardly_shows_hardly_moves():
    """A direction of a ten thousandth of the metric, with a gradient to scale: noise of its own
    size moves it by a hundredth of what the metric alone would."""
    metric = np.diag([1.0, 1e-4]).astype(np.float32)
    steps = run(np.tile(np.float32([1.0, 1e-2]), (40, 1)), metric)
    assert abs(steps[-1, 1] / steps[-1, 0]) == pytest.approx(1e-2 / 5.1e-3, rel=0.05)
    assert 1e-2 / 1e-4 > 40 * abs(steps[-1, 1] / steps[-1, 0])


def test_rates_rise_and_fall():
    schedule = rate_of(0.1, 60)
    values = [float(schedule(n)) for n in range(61)]
    assert values[0] == 0.0
    assert max(values) == pytest.approx(0.1)
    assert np.argmax(values) == 15
    assert values[60] == pytest.approx(0.0, abs=1e-9)
    assert (np.diff(values[16:]) < 0).all()
