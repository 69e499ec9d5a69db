r"""Brownian and Langevin generators of trajectories, in the stepping style of JAX-MD.

Both run in the scaled time tau = alpha t of Wang & Voth (arXiv:2504.06505):

    Brownian   dR/dtau = F/gamma + sqrt(2 kB T/gamma) xi(tau)
    Langevin   m d2R/dtau2 = F - gamma dR/dtau + sqrt(2 kB T gamma) xi(tau)

Only alpha/gamma (Brownian), gamma/alpha and m/alpha^2 (Langevin) can be identified from
trajectories. gamma has units amu/ps, m amu, alpha none.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, random

from dynmatch.runtime.jax_md import dataclasses, simulate, space

KINDS = ("bd", "ld")


class Dynamics(NamedTuple):
    """Friction gamma (amu/ps), time scaling alpha (1) and site mass (amu), all positive.

    Scalars; where there are several types of sites, gamma and mass are arrays (T,) over types.
    """

    gamma: Array
    alpha: Array
    mass: Array


class Generator(NamedTuple):
    """A pair of pure functions.

    init(dynamics, key, positions, **kwargs) -> state, momenta drawn from Maxwell-Boltzmann
    step(dynamics, state, **kwargs) -> state after one time step

    The keyword arguments reach the force function: force(positions, **kwargs) -> (N, 3) kJ/mol/nm.
    Every state has `position` (N, 3) nm, unwrapped, `force` at that position, and `rng`.
    """

    init: Callable
    step: Callable


@dataclasses.dataclass
class BrownianState:
    """position (N, 3) nm; force (N, 3) kJ/mol/nm there; noise (N, 3) drawn last; rng key."""

    position: Array
    force: Array
    noise: Array
    rng: Array


def brownian(force: Callable, shift: Callable, dt: Array, kT: float, gamma: Array):
    """The Leimkuhler-Matthews scheme in JAX-MD's (init, apply) form.

        R_{n+1} = R_n + dt F(R_n)/gamma + sqrt(2 kT dt/gamma) (xi_n + xi_{n+1})/2

    costs what Euler-Maruyama (JAX-MD's `brownian`) costs, and samples the Boltzmann distribution
    with an error of second order in dt instead of first (doi:10.1093/amrx/abs010).
    """

    def init_fn(key: Array, position: Array, **kwargs) -> BrownianState:
        key, split = random.split(key)
        noise = random.normal(split, position.shape, position.dtype)
        return BrownianState(position, force(position, **kwargs), noise, key)

    def apply_fn(state: BrownianState, **kwargs) -> BrownianState:
        key, split = random.split(state.rng)
        noise = random.normal(split, state.position.shape, state.position.dtype)
        drift = state.force * (dt / gamma)
        kick = jnp.sqrt(0.5 * kT * dt / gamma) * (state.noise + noise)
        position = shift(state.position, drift + kick, **kwargs)
        return BrownianState(position, force(position, **kwargs), noise, key)

    return init_fn, apply_fn


def per_site(value: Array, types: Sequence[int] | None) -> Array:
    """A value over types (T,) as a column (N, 1) over sites of these types; the value itself where
    `types` is None."""
    return value if types is None else value[jnp.array(types)][:, None]


def generator(
    kind: str, force: Callable, time_step: float, kT: float, types: Sequence[int] | None = None
) -> Generator:
    """The Brownian ("bd") or Langevin ("ld") generator with time step `time_step` in t (ps).

    `types` (N,) are those of the sites, None where there is one only. Langevin steps are JAX-MD's
    BAOAB (`simulate.nvt_langevin`); its `gamma` is the rate gamma/m.
    """
    shift = space.free()[1]

    def stepper(dynamics: Dynamics):
        dt = dynamics.alpha * time_step
        gamma = per_site(dynamics.gamma, types)
        if kind == "bd":
            return brownian(force, shift, dt, kT, gamma)
        rate = gamma / per_site(dynamics.mass, types)
        return simulate.nvt_langevin(force, shift, dt, kT, rate, center_velocity=False)

    def init(dynamics: Dynamics, key: Array, positions: Array, **kwargs):
        if kind == "ld":
            kwargs["mass"] = per_site(dynamics.mass, types)
        return stepper(dynamics)[0](key, positions, **kwargs)

    def step(dynamics: Dynamics, state, **kwargs):
        if kind == "ld":
            state = state.set(mass=per_site(dynamics.mass, types))
        return stepper(dynamics)[1](state, **kwargs)

    return Generator(init, step)


def free_motion(kind: str, dynamics: Dynamics, kT: float, time: float) -> float:
    """Standard deviation (nm) of a coordinate after `time` (ps) without forces.

    sqrt(2 D t) for Brownian motion with D = alpha kB T/gamma; with inertia, t is shorter by
    tau (1 - exp(-t/tau)), tau = m/(alpha gamma). The largest over the types of sites.
    """
    gamma, alpha, mass = (np.asarray(value, np.float64) for value in dynamics)
    if kind == "ld":
        tau = mass / (alpha * gamma)
        time = time + tau * np.expm1(-time / tau)
    return float(np.max(np.sqrt(2 * kT * alpha / gamma * time)))


def velocity(dynamics: Dynamics, state) -> Array:
    """dR/dt (N, 3), nm/ps, of a Langevin state: alpha times the velocity in scaled time."""
    return dynamics.alpha * state.momentum / state.mass
