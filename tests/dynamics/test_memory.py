"""The generalised Langevin equation against closed forms of linear stochastic processes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm, solve_discrete_lyapunov

from dynmatch.dynamics import langevin, memory
from dynmatch.dynamics.base import Scale

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

KT = 2.5
TYPES = np.array([0, 1, 1])
EQUATION = memory.Equation(0.01, exponentials=2, cosines=2)


@pytest.fixture(scope="module")
def values(double_precision):
    """Random kernels of two types, of the size that liquids have."""
    rng = np.random.default_rng(1)
    mass = np.array([18.0, 30.0])
    start = EQUATION.initial(Scale(mass, mass, np.array([20.0, 12.0])))
    return {
        name: jnp.asarray(value * np.exp(rng.uniform(-0.5, 0.5, np.shape(value))))
        if name != "alpha"
        else jnp.float64(1.0)
        for name, value in start.items()
    }


def drift(values, number: int, equation=EQUATION) -> np.ndarray:
    """A of one type, (1 + K, 1 + K)."""
    return np.diag(np.asarray(equation._diagonal(values)[number])) - np.asarray(
        equation._antisymmetric(values)[number]
    )


@pytest.mark.parametrize("number", [0, 1])
def test_the_bath_keeps_the_equilibrium_to_the_last_bit(values, number):
    """turn turn^T kT + noisy noisy^T = kT: for any values and any time step."""
    for step in (0.001, 0.01, 0.1):
        found = replace(EQUATION, time_step=step).prepare(values, KT, TYPES)
        turn, noisy = (np.asarray(a)[[0, 1][number]] for a in (found.turn, found.noisy))
        kept = KT * turn @ turn.T + noisy @ noisy.T
        np.testing.assert_allclose(kept, KT * np.eye(len(turn)), atol=1e-12)


def test_types_have_baths_of_their_own(values):
    found = EQUATION.prepare(values, KT, TYPES)
    assert found.turn.shape == (3, 7, 7)
    np.testing.assert_array_equal(found.turn[1], found.turn[2])
    assert not np.allclose(found.turn[0], found.turn[1])
    np.testing.assert_array_equal(found.mass[:, 0], np.asarray(values["mass"])[TYPES])


def test_velocities_of_a_free_particle(values):
    """<v(0) v(t)> = kT/m [exp(-A t)]_00, with an error of second order in the time step."""
    time = np.arange(1, 101) * 0.02
    errors = []
    for step in (0.02, 0.01, 0.005):
        turn = np.asarray(replace(EQUATION, time_step=step).prepare(values, KT, TYPES).turn[0])
        powers = [np.linalg.matrix_power(turn, round(t / step))[0, 0] for t in time]
        exact = [expm(-drift(values, 0) * t)[0, 0] for t in time]
        errors.append(np.abs(np.subtract(powers, exact)).max())
    assert errors[2] < 5e-3
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def linear_step(values, k: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """One step in a harmonic well as (x, p, s)' = M (x, p, s) + G xi: both matrices, by columns."""
    equation = replace(EQUATION, time_step=step)
    one = {name: value[:1] if value.ndim else value for name, value in values.items()}
    coefficients = equation.prepare(one, KT, np.zeros(1, int))
    size = coefficients.turn.shape[0]
    well = lambda x: -k * x  # noqa: E731

    def advance(y, xi):
        state = memory.State(
            y[0].reshape(1, 1), y[1].reshape(1, 1), y[2:, None, None], well(y[:1, None]), None
        )
        dt, mass, root = step, coefficients.mass, jnp.sqrt(coefficients.mass)
        p = state.momentum + 0.5 * dt * state.force
        x = state.position + 0.5 * dt * p / mass
        u = jnp.concatenate([(p / root)[None], state.memory])
        u = coefficients.turn @ u[:, 0, 0] + coefficients.noisy @ xi
        p = root * u[0]
        x = x + 0.5 * dt * p / mass
        p = p + 0.5 * dt * well(x)
        return jnp.concatenate([x.reshape(1), p.reshape(1), u[1:]])

    y, xi = jnp.zeros(size + 1), jnp.zeros(size)
    return tuple(np.asarray(m) for m in jax.jacobian(advance, (0, 1))(y, xi))


def test_a_harmonic_well(values):
    """<x^2> = kT/k exactly, as BAOAB has it, and <x(0) x(t)> that of the linear equations."""
    k, step = 4000.0, 0.005
    matrix, noise = linear_step(values, k, step)
    covariance = solve_discrete_lyapunov(matrix, noise @ noise.T)
    assert covariance[0, 0] == pytest.approx(KT / k, rel=1e-9)
    mass = float(values["mass"][0])
    continuous = np.zeros_like(matrix)
    continuous[1:, 1:] = -drift(values, 0)
    continuous[0, 1], continuous[1, 0] = 1 / np.sqrt(mass), -k / np.sqrt(mass)
    for steps in (5, 20, 80, 200):
        found = (np.linalg.matrix_power(matrix, steps) @ covariance)[0, 0] / covariance[0, 0]
        # in equilibrium x and u are uncorrelated
        expected = expm(continuous * steps * step)[0, 0]
        assert found == pytest.approx(expected, abs=5e-3)


def test_steps_are_those_that_are_written_down(values):
    """The step of the library is `linear_step`: positions and velocities with its own noise."""
    equation = replace(EQUATION, time_step=0.005)
    one = {name: value[:1] if value.ndim else value for name, value in values.items()}
    coefficients = equation.prepare(one, KT, np.zeros(1, int))
    well = lambda x: -4000.0 * x  # noqa: E731
    x = jnp.asarray(np.random.default_rng(2).normal(size=(1, 3)) * 0.02)
    state = equation.init(coefficients, well, jax.random.key(3), x)
    xi = jax.random.normal(jax.random.split(state.rng)[1], (7, 1, 3), x.dtype)
    after = equation.step(coefficients, well, state)
    matrix, noise = linear_step(values, 4000.0, 0.005)
    for axis in range(3):
        y = [state.position[0, axis], state.momentum[0, axis], *state.memory[:, 0, axis]]
        expected = matrix @ np.array(y) + noise @ np.asarray(xi)[:, 0, axis]
        found = [after.position[0, axis], after.momentum[0, axis], *after.memory[:, 0, axis]]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_without_memory_it_is_langevin_dynamics():
    """The same trajectory as JAX-MD's BAOAB with the same random numbers."""
    plain = memory.Equation(0.01, 0, 0)
    mass, gamma = np.array([18.0]), np.array([300.0])
    values = {"gamma": jnp.asarray(gamma), "mass": jnp.asarray(mass), "alpha": jnp.float64(1.0)}
    none = {name: jnp.zeros((1, 0)) for name in ("strength", "time", "cosine", "rate", "frequency")}
    types = np.zeros(5, int)
    well = lambda x: -3000.0 * x  # noqa: E731
    x = jnp.asarray(np.random.default_rng(4).normal(size=(5, 3)) * 0.03)
    other = langevin.Equation(0.01)
    theirs = other.prepare(values, KT, types)
    ours = plain.prepare(values | none, KT, types)
    reference = other.init(theirs, well, jax.random.key(5), x)
    state = memory.State(x, reference.momentum, jnp.zeros((0, 5, 3)), well(x), reference.rng)
    theirs_step = jax.jit(lambda state: other.step(theirs, well, state))
    our_step = jax.jit(lambda state: plain.step(ours, well, state))
    for _ in range(50):
        reference, state = theirs_step(reference), our_step(state)
    np.testing.assert_allclose(state.position, reference.position, rtol=1e-10)
    np.testing.assert_allclose(state.momentum, reference.momentum, rtol=1e-10)


@pytest.mark.parametrize("number", [0, 1])
def test_the_kernel_is_that_of_the_auxiliary_variables(values, number):
    """K(t)/m = theta^T exp(-blocks t) theta; its integral and gamma are the friction, and the real
    part of its transform is nowhere negative: the bath takes energy at every frequency."""
    a = drift(values, number)
    time = np.linspace(0, 3, 50)
    direct = [a[0, 1:] @ expm(-a[1:, 1:] * t) @ -a[1:, 0] for t in time]
    np.testing.assert_allclose(EQUATION.kernel(values, time)[number], direct, atol=1e-8)
    mass = float(values["mass"][number])
    whole = mass / np.linalg.inv(a)[0, 0]
    assert float(EQUATION.friction(values)[number]) == pytest.approx(whole, rel=1e-9)
    for omega in (0.0, 1.0, 10.0, 33.0, 100.0):
        response = a[0, 1:] @ np.linalg.solve(
            a[1:, 1:] + 1j * omega * np.eye(len(a) - 1), -a[1:, 0]
        )
        assert response.real > 0
