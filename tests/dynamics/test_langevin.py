"""Langevin dynamics against closed forms: free motion and harmonic wells.

Means over C independent coordinates are compared within four standard errors: sqrt(2/C) of the
value for a mean square, at most sqrt(2/C) of the variance for an autocorrelation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from dynmatch.dynamics.langevin import Equation

KT = 2.5
SITES = 20_000
SIGMA = np.sqrt(2 / (3 * SITES))
ONE = np.zeros(SITES, int)


def generate(force, gamma, alpha: float, mass, dt: float, seed: int, types=ONE):
    """A state at the origin, and functions that continue it and give its velocity."""
    equation, values = Equation(dt), values_of(gamma, alpha, mass)
    coefficients = equation.prepare(values, KT, types)
    state = equation.init(coefficients, force, random.key(seed), jnp.zeros((len(types), 3)))

    @jax.jit
    def advance(state, n):
        return jax.lax.fori_loop(0, n, lambda _, s: equation.step(coefficients, force, s), state)

    return state, advance, lambda state: equation.velocity(coefficients, state)


def values_of(gamma, alpha: float, mass) -> dict:
    types = {"gamma": gamma, "mass": mass}
    arrays = {name: jnp.atleast_1d(jnp.float32(value)) for name, value in types.items()}
    return arrays | {"alpha": jnp.float32(alpha)}


def mean_square(x) -> float:
    return float(np.mean(np.square(np.asarray(x, np.float64))))


def test_free_motion_goes_from_ballistic_to_diffusive():
    """MSD = 6 D0 (t - (1 - exp(-Gt))/G), G = gamma alpha/mass; the scheme errs by (G dt)^2."""
    gamma, alpha, mass, dt = 400.0, 1.5, 30.0, 0.005
    state, advance, _ = generate(jnp.zeros_like, gamma, alpha, mass, dt, seed=2)
    assert mean_square(state.momentum) == pytest.approx(mass * KT, rel=4 * SIGMA)
    rate = gamma * alpha / mass
    done = 0
    for steps in (2, 10, 40, 400):
        state = advance(state, steps - done)
        done = steps
        t = steps * dt
        exact = 6 * KT * alpha / gamma * (t - (1 - np.exp(-rate * t)) / rate)
        tolerance = 4 * SIGMA + (rate * dt) ** 2
        assert 3 * mean_square(state.position) == pytest.approx(exact, rel=tolerance)
        told = Equation(dt).free_motion(values_of(gamma, alpha, mass), KT, t)
        assert 3 * told**2 == pytest.approx(exact, rel=1e-5)


def test_each_type_has_its_own_thermal_velocity():
    """<v^2> = 3 kT alpha^2/m after some steps of each half of the sites."""
    mass, alpha = np.array([10.0, 40.0]), 1.5
    types = np.arange(SITES) % 2
    state, advance, velocity = generate(jnp.zeros_like, 5 * mass, alpha, mass, 0.01, 2, types)
    squares = np.sum(np.asarray(velocity(advance(state, 20)), float) ** 2, -1)
    np.testing.assert_allclose(
        squares.reshape(-1, 2).mean(0), 3 * KT * alpha**2 / mass, rtol=4 * np.sqrt(2) * SIGMA
    )


def test_correlations_in_a_harmonic_well_are_the_closed_forms():
    r"""With the friction g = gamma/alpha and mass m = mass/alpha^2 of real time, G = g/m and
    w^2 = k/m - G^2/4, stationary from a cold start:

    <x(0) x(t)> = kT/k exp(-Gt/2) (cos wt + G/2w sin wt)
    <v(0) v(t)> = kT/m exp(-Gt/2) (cos wt - G/2w sin wt)
    """
    gamma, alpha, mass, stiffness, dt = 150.0, 1.25, 30.0, 1800.0, 0.005

    def well(positions):
        return -stiffness * positions

    state, advance, velocity = generate(well, gamma, alpha, mass, dt, seed=3)
    states = [advance(state, 400)]
    for _ in range(50):
        states.append(advance(states[-1], 4))
    x = np.stack([s.position for s in states])
    v = np.stack([velocity(s) for s in states])

    t = 4 * dt * np.arange(len(x))
    m = mass / alpha**2
    half_rate = 0.5 * gamma / alpha / m
    w = np.sqrt(stiffness / m - half_rate**2)
    decay, cosine = np.exp(-half_rate * t), np.cos(w * t)
    sine = half_rate / w * np.sin(w * t)
    assert np.min(decay * (cosine + sine)) < -0.2

    discretisation = stiffness / m * dt**2
    tolerance = 4 * SIGMA + discretisation
    for values, variance, shape in ((x, KT / stiffness, cosine + sine), (v, KT / m, cosine - sine)):
        correlation = np.mean(values[0] * values, (1, 2), np.float64) / variance
        np.testing.assert_allclose(correlation, decay * shape, atol=tolerance)
        assert mean_square(values[-1]) == pytest.approx(variance, rel=tolerance)
