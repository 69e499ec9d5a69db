"""Brownian and Langevin generators against closed forms: free motion and harmonic wells.

Means over C independent coordinates are compared within four standard errors: sqrt(2/C) of the
value for a mean square, at most sqrt(2/C) of the variance for an autocorrelation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynmatch.dynamics.dynamics import Dynamics
from jax import random
from jax_md import simulate, space

from dynmatch.dynamics import dynamics as engine

KT = 2.5
SITES = 20_000
SIGMA = np.sqrt(2 / (3 * SITES))
ORIGIN = jnp.zeros((SITES, 3))


def free(positions):
    return jnp.zeros_like(positions)


def well(stiffness):
    return lambda positions: -stiffness * positions


def stepper(step):
    """Function of a state and a number of steps that gives the state after them."""
    return jax.jit(lambda state, n: jax.lax.fori_loop(0, n, lambda _, s: step(s), state))


def generate(kind, force, dynamics, dt, seed, positions=ORIGIN):
    """A state at `positions` and the function that continues it."""
    generator = engine.generator(kind, force, dt, KT)
    state = generator.init(dynamics, random.key(seed), positions)
    return state, stepper(lambda s: generator.step(dynamics, s))


def mean_square(x) -> float:
    return float(np.mean(np.square(np.asarray(x, np.float64))))


def test_free_brownian_motion_has_msd_6_d0_t():
    """D0 = kT alpha/gamma; averaging the noise of two steps delays diffusion by half a step."""
    dynamics, dt = Dynamics(gamma=600.0, alpha=1.7, mass=18.0), 0.005
    state, advance = generate("bd", free, dynamics, dt, seed=1)
    d0 = KT * 1.7 / 600.0
    done = 0
    for steps in (1, 2, 10, 100, 1000):
        state = advance(state, steps - done)
        done = steps
        t = (steps - 0.5) * dt
        assert 3 * mean_square(state.position) == pytest.approx(6 * d0 * t, rel=4 * SIGMA)


def test_free_langevin_motion_goes_from_ballistic_to_diffusive():
    """MSD = 6 D0 (t - (1 - exp(-Gt))/G), G = gamma alpha/mass; the scheme errs by (G dt)^2."""
    gamma, alpha, mass, dt = 400.0, 1.5, 30.0, 0.005
    state, advance = generate("ld", free, Dynamics(gamma, alpha, mass), dt, seed=2)
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


def test_langevin_in_a_harmonic_well_has_the_closed_form_correlations():
    r"""With the friction g = gamma/alpha and mass m = mass/alpha^2 of real time, G = g/m and
    w^2 = k/m - G^2/4, stationary from a cold start:

    <x(0) x(t)> = kT/k exp(-Gt/2) (cos wt + G/2w sin wt)
    <v(0) v(t)> = kT/m exp(-Gt/2) (cos wt - G/2w sin wt)
    """
    gamma, alpha, mass, stiffness, dt = 150.0, 1.25, 30.0, 1800.0, 0.005
    dynamics = Dynamics(gamma, alpha, mass)
    state, advance = generate("ld", well(stiffness), dynamics, dt, seed=3)
    states = [advance(state, 400)]
    for _ in range(50):
        states.append(advance(states[-1], 4))
    x = np.stack([s.position for s in states])
    v = np.stack([engine.velocity(dynamics, s) for s in states])

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


@pytest.mark.parametrize("relative_step", [0.1, 1.0])
def test_leimkuhler_matthews_samples_a_harmonic_well_exactly(relative_step):
    """kT/k at any a = k dt/gamma, where Euler-Maruyama (JAX-MD's) samples kT/k / (1 - a/2)."""
    stiffness, dynamics = 900.0, Dynamics(600.0, 1.5, 18.0)
    dt = relative_step * dynamics.gamma / stiffness
    state, advance = generate("bd", well(stiffness), dynamics, dt / dynamics.alpha, seed=4)
    variance = mean_square(advance(state, 100).position)
    assert variance == pytest.approx(KT / stiffness, rel=4 * SIGMA)

    init, step = simulate.brownian(well(stiffness), space.free()[1], dt, KT, gamma=dynamics.gamma)
    euler = mean_square(stepper(step)(init(random.key(5), ORIGIN), 100).position)
    bias = 1 / (1 - 0.5 * relative_step)
    assert bias > 1 + 8 * SIGMA
    assert euler == pytest.approx(KT / stiffness * bias, rel=4 * SIGMA)


def double_well(positions):
    return 900.0 * positions * (0.04 - positions**2) / 0.04


def after_fifty_steps(kind, dynamics, dt):
    """State of 40 sites in a double well, always from the same key."""
    positions = 0.1 * random.normal(random.key(6), (40, 3))
    state, advance = generate(kind, double_well, dynamics, dt, 7, positions)
    return advance(state, 50)


@pytest.mark.parametrize("kind", engine.KINDS)
def test_alpha_rescales_time_exactly(kind):
    """alpha = 2 with step h is alpha = 1 with step 2h, bit for bit, and velocities are doubled."""
    slow, fast = (Dynamics(600.0, alpha, 18.0) for alpha in (1.0, 2.0))
    one, other = after_fifty_steps(kind, slow, 0.01), after_fifty_steps(kind, fast, 0.005)
    assert np.array_equal(one.position, other.position)
    if kind == "ld":
        assert np.array_equal(2 * engine.velocity(slow, one), engine.velocity(fast, other))


@pytest.mark.parametrize("kind", engine.KINDS)
def test_only_gamma_over_alpha_and_mass_over_alpha_squared_matter(kind, double_precision):
    scale = 1.7
    plain = Dynamics(600.0, 1.2, 18.0)
    scaled = Dynamics(600.0 * scale, 1.2 * scale, 18.0 * scale**2)
    one, other = (after_fifty_steps(kind, dynamics, 0.005) for dynamics in (plain, scaled))
    np.testing.assert_allclose(other.position, one.position, atol=1e-10)
    if kind == "ld":
        velocities = engine.velocity(plain, one), engine.velocity(scaled, other)
        np.testing.assert_allclose(velocities[1], velocities[0], atol=1e-9)
