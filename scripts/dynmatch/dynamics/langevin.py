r"""Langevin dynamics: m d2R/dtau2 = F - gamma dR/dtau + sqrt(2 kB T gamma) xi(tau).

Steps are JAX-MD's BAOAB (`simulate.nvt_langevin`), whose `gamma` is the rate gamma/m. Only
gamma/alpha and m/alpha^2 can be identified from trajectories.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.dynamics.base import Force, Parameter, Scale, Values, per_site
from dynmatch.runtime.jax_md import simulate, space
from dynmatch.settings import LangevinSettings

State = simulate.NVTLangevinState


class Coefficients(NamedTuple):
    """dt ps, kT kJ/mol, and of every site, (N, 1), or of all: rate gamma/m, 1/ps, and mass, amu."""

    dt: Array
    kT: Array
    rate: Array
    mass: Array


@dataclass(frozen=True)
class Equation:
    """See `dynamics.base.Equation`. gamma amu/ps, mass m amu, alpha without unit."""

    name: ClassVar[str] = "ld"
    parameters: ClassVar[dict[str, Parameter]] = {
        "gamma": Parameter("gamma", "gamma_amu_per_ps", of_type=True),
        "alpha": Parameter("alpha", "alpha", of_type=False),
        "mass": Parameter("m", "mass_amu", of_type=True),
    }
    gauge: ClassVar[dict[str, dict[str, int]]] = {
        "gamma_over_alpha": {"gamma": 1, "alpha": -1},
        "mass_over_alpha2": {"mass": 1, "alpha": -2},
    }

    carried: ClassVar[tuple[str, ...]] = ("gamma", "mass")
    moving: ClassVar[tuple[str, ...]] = ("position", "momentum")
    least: ClassVar[dict[str, float]] = {}
    most: ClassVar[dict[str, float]] = {}

    time_step: float

    @classmethod
    def of(cls, settings: LangevinSettings) -> "Equation":
        return cls(settings.time_step)

    @classmethod
    def of_values(cls, time_step: float, values: Values) -> "Equation":
        return cls(time_step)

    def initial(self, scale: Scale) -> dict:
        return {"gamma": scale.friction, "alpha": 1.0, "mass": scale.mass}

    def prepare(self, values: Values, kT: float, types: np.ndarray) -> Coefficients:
        mass = per_site(values["mass"], types)
        rate = per_site(values["gamma"], types) / mass
        dt = values["alpha"] * self.time_step
        return Coefficients(dt, jnp.asarray(kT, mass.dtype), rate, mass)

    def init(self, coefficients: Coefficients, force: Force, key: Array, x: Array) -> State:
        begin, _ = _scheme(coefficients, force)
        return begin(key, x, mass=coefficients.mass)

    def step(self, coefficients: Coefficients, force: Force, state: State) -> State:
        _, advance = _scheme(coefficients, force)
        return advance(state.set(mass=coefficients.mass))

    def start_tangents(self, state: State) -> dict:
        return {("momentum", "mass"): 0.5 * state.momentum}

    def velocity(self, coefficients: Coefficients, state: State) -> Array:
        alpha = coefficients.dt / self.time_step
        between = state.momentum - 0.5 * coefficients.dt * state.force
        return alpha * between / coefficients.mass

    def free_motion(self, values: Values, kT: float, time: float) -> float:
        """sqrt(2 D t) with t shortened by tau (1 - exp(-t/tau)), tau = m/(alpha gamma)."""
        gamma, alpha, mass = (
            np.asarray(values[name], np.float64) for name in ("gamma", "alpha", "mass")
        )
        tau = mass / (alpha * gamma)
        time = time + tau * np.expm1(-time / tau)
        return float(np.max(np.sqrt(2 * kT * alpha / gamma * time)))

    def identifiable(self, values: Values, kT: float) -> dict:
        gamma, alpha, mass = values["gamma"], values["alpha"], values["mass"]
        return {
            "d0_nm2_per_ps": kT * alpha / gamma,
            "gamma_over_alpha": gamma / alpha,
            "mass_over_alpha2": mass / alpha**2,
        }


def _scheme(coefficients: Coefficients, force: Force):
    def forces(x, **kwargs):
        return force(x)

    shift, (dt, kT, rate, _) = space.free()[1], coefficients
    return simulate.nvt_langevin(forces, shift, dt, kT, rate, center_velocity=False)
