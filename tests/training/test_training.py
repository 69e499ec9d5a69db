"""The optimiser of the dynamics, and the rules by which a training ends."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dynmatch.training import game as training
from dynmatch.training import train as loop
from tests.helpers.some_devices import small_game


def log_values(gamma, alpha, mass):
    return {"gamma": jnp.float32(gamma), "alpha": jnp.float32(alpha), "mass": jnp.float32(mass)}


def step(kind, freeze, gradient):
    transform = training.identifiable_directions(kind, freeze)
    return transform.update(gradient, transform.init(gradient))[0]


def test_a_pull_on_friction_leaves_the_effective_mass():
    """The gradient of a function of ln(gamma/alpha) alone is (1, -1, 0); ln m/alpha^2 stays."""
    moved = step("ld", (), log_values(1.0, -1.0, 0.0))
    assert float(moved["gamma"] - moved["alpha"]) == pytest.approx(1.0, abs=1e-6)
    assert float(moved["mass"] - 2 * moved["alpha"]) == pytest.approx(0.0, abs=1e-6)


def test_a_pull_on_mass_leaves_the_effective_friction():
    moved = step("ld", (), log_values(0.0, -2.0, 1.0))
    assert float(moved["gamma"] - moved["alpha"]) == pytest.approx(0.0, abs=1e-6)
    assert float(moved["mass"] - 2 * moved["alpha"]) == pytest.approx(1.0, abs=1e-6)


def test_the_gauge_direction_is_not_walked():
    """gamma -> c gamma, alpha -> c alpha, m -> c^2 m changes nothing; noise along it is dropped."""
    moved = step("ld", (), log_values(1.0, 1.0, 2.0))
    assert max(abs(float(x)) for x in moved.values()) < 1e-6


@pytest.mark.parametrize("kind", ["bd", "ld"])
@pytest.mark.parametrize("frozen", training.DYNAMICS)
def test_a_frozen_parameter_stays(kind, frozen):
    moved = step(kind, (frozen,), log_values(1.0, -1.3, 0.4))
    assert float(moved[frozen]) == 0.0


def test_brownian_dynamics_never_moves_the_mass():
    assert float(step("bd", (), log_values(1.0, -1.0, 0.5))["mass"]) == 0.0


def test_shared_adam_keeps_the_direction_of_the_gradient():
    transform = training.shared_adam(0.8, 0.99)
    gradient = {"a": jnp.float32(3.0), "b": jnp.float32(-0.3)}
    moved, _ = transform.update(gradient, transform.init(gradient))
    assert float(moved["a"] / moved["b"]) == pytest.approx(-10.0, rel=1e-5)
    assert float(optax.tree.norm(moved)) == pytest.approx(1.0, rel=1e-4)


def row(gap, floor, d0):
    return {"score_gap_smoothed": gap, "gap_floor": floor, "d0_nm2_per_ps": d0}


def test_convergence_needs_the_gap_at_its_floor_and_a_steady_d0():
    steady = [row(0.01, 0.02, 0.006)] * 40
    assert loop.has_converged(steady, 40)
    assert loop.has_converged(steady[:30], 40)
    assert not loop.has_converged([*steady[:-1], row(0.03, 0.02, 0.006)], 40)
    moving = [row(0.01, 0.02, 0.006 * (1 + 0.01 * n)) for n in range(40)]
    assert not loop.has_converged(moving, 40)
    swinging = [row(0.01, 0.02, 0.006 * (1 + 0.05 * (-1) ** n)) for n in range(40)]
    assert loop.has_converged(swinging, 40)


def test_a_game_does_not_converge_while_its_rates_are_high():
    assert not loop.has_converged([row(0.01, 0.02, 0.006)] * 29, 40)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_divergence(bad):
    sound = {"score_gap": 0.1, "gradient_norm": 1.0}
    assert not loop.diverged(sound)
    assert loop.diverged({**sound, "score_gap": bad})
    assert loop.diverged({**sound, "gradient_norm": 1e6})


@pytest.mark.parametrize("renewal", [0.0, 0.3, 1.0])
def test_renewed_replicas_begin_at_frames_of_the_reference(renewal):
    """A friction so high that nothing moves: after an update a replica is where it was, or at a
    frame of the reference. Of 200 replicas, 0.3 of them within 4 standard deviations, 26."""
    count = 200
    settings = training.GameSettings(
        count, renewal, 4, 1, 1e-3, 1.0, 1e-3, 1e-3, 1e-3, 1e-2, 20, 1e-3, freeze=()
    )
    game, state, reference, frames = small_game("bd", 1e12, 2, 30, settings)
    elsewhere = state.replicas.set(position=state.replicas.position + 0.02)
    after, _ = game.update(state._replace(replicas=elsewhere), reference, jnp.float32(1.0))
    x = np.asarray(after.replicas.position)
    stayed = np.abs(x - elsewhere.position).max((1, 2)) < 1e-4
    apart = np.abs(x[:, None] - frames[None]).max((2, 3))
    renewed = apart.min(1) < 1e-4
    assert (stayed ^ renewed).all()
    assert renewed.sum() == pytest.approx(
        renewal * count, abs=4 * np.sqrt(0.3 * 0.7 * count) * (0 < renewal < 1)
    )
    if renewal:
        assert len(np.unique(apart[renewed].argmin(1))) > 15
