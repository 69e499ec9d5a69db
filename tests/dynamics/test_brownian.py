"""Brownian dynamics against closed forms: free motion and harmonic wells.

Mean squares over C independent coordinates are compared within four standard errors, sqrt(2/C) of
the value.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from jax_md import simulate, space

from dynmatch.dynamics.brownian import Equation

KT = 2.5
SITES = 20_000
SIGMA = np.sqrt(2 / (3 * SITES))
ORIGIN = jnp.zeros((SITES, 3))
ONE = np.zeros(SITES, int)


def values_of(gamma, alpha: float) -> dict:
    return {"gamma": jnp.atleast_1d(jnp.float32(gamma)), "alpha": jnp.float32(alpha)}


def stepper(step):
    """Function of a state and a number of steps that gives the state after them."""
    return jax.jit(lambda state, n: jax.lax.fori_loop(0, n, lambda _, s: step(s), state))


def generate(force, values, dt, seed, types=ONE):
    """A state at the origin and the function that continues it."""
    equation = Equation(dt)
    coefficients = equation.prepare(values, KT, types)
    state = equation.init(coefficients, force, random.key(seed), jnp.zeros((len(types), 3)))
    return state, stepper(lambda s: equation.step(coefficients, force, s))


def mean_square(x) -> float:
    return float(np.mean(np.square(np.asarray(x, np.float64))))


def test_free_motion_has_msd_6_d0_t():
    """D0 = kT alpha/gamma; averaging the noise of two steps delays diffusion by half a step."""
    values, dt = values_of(600.0, 1.7), 0.005
    state, advance = generate(jnp.zeros_like, values, dt, seed=1)
    d0 = KT * 1.7 / 600.0
    assert float(Equation(dt).identifiable(values, KT)["d0_nm2_per_ps"][0]) == pytest.approx(d0)
    done = 0
    for steps in (1, 2, 10, 100, 1000):
        state = advance(state, steps - done)
        done = steps
        t = (steps - 0.5) * dt
        assert 3 * mean_square(state.position) == pytest.approx(6 * d0 * t, rel=4 * SIGMA)
        told = Equation(dt).free_motion(values, KT, t)
        assert told**2 == pytest.approx(2 * d0 * t, rel=1e-5)


def test_each_type_diffuses_with_its_own_friction():
    """MSD = 6 kT alpha/gamma (n - 1/2) dt of each half of the sites."""
    gamma, alpha, dt, steps = np.array([100.0, 400.0]), 1.5, 0.01, 40
    state, advance = generate(jnp.zeros_like, values_of(gamma, alpha), dt, 1, np.arange(SITES) % 2)
    moved = np.sum(np.asarray(advance(state, steps).position, float) ** 2, -1)
    found = moved.reshape(-1, 2).mean(0)
    expected = 6 * KT * alpha / gamma * (steps - 0.5) * dt
    np.testing.assert_allclose(found, expected, rtol=4 * np.sqrt(2) * SIGMA)


@pytest.mark.parametrize("relative_step", [0.1, 1.0])
def test_leimkuhler_matthews_samples_a_harmonic_well_exactly(relative_step):
    """kT/k at any a = k dt/gamma, where Euler-Maruyama (JAX-MD's) samples kT/k / (1 - a/2)."""
    stiffness, gamma, alpha = 900.0, 600.0, 1.5
    dt = relative_step * gamma / stiffness

    def well(positions, **_):
        return -stiffness * positions

    state, advance = generate(well, values_of(gamma, alpha), dt / alpha, seed=4)
    variance = mean_square(advance(state, 100).position)
    assert variance == pytest.approx(KT / stiffness, rel=4 * SIGMA)

    init, step = simulate.brownian(well, space.free()[1], dt, KT, gamma=gamma)
    euler = mean_square(stepper(step)(init(random.key(5), ORIGIN), 100).position)
    bias = 1 / (1 - 0.5 * relative_step)
    assert bias > 1 + 8 * SIGMA
    assert euler == pytest.approx(KT / stiffness * bias, rel=4 * SIGMA)
