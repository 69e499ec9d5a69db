r"""Langevin dynamics: m d2R/dtau2 = F - gamma dR/dtau + sqrt(2 kB T gamma) xi(tau).

Steps are JAX-MD's BAOAB (`simulate.nvt_langevin`), whose `gamma` is the rate gamma/m. Only
gamma/alpha and m/alpha^2 can be identified from trajectories.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jax import Array

from dynmatch.dynamics.base import Force, Parameter, Values, per_site
from dynmatch.runtime.jax_md import simulate, space
from dynmatch.settings import LangevinSettings

State = simulate.NVTLangevinState


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

    time_step: float

    @classmethod
    def of(cls, settings: LangevinSettings) -> "Equation":
        return cls(settings.time_step)

    def initial(self, friction: np.ndarray, mass: np.ndarray) -> dict:
        return {"gamma": friction, "alpha": 1.0, "mass": mass}

    def init(
        self, values: Values, kT: float, types: np.ndarray, force: Force, key: Array, x: Array
    ) -> State:
        begin, _ = self._scheme(values, kT, types, force)
        return begin(key, x, mass=per_site(values["mass"], types))

    def step(
        self, values: Values, kT: float, types: np.ndarray, force: Force, state: State
    ) -> State:
        _, advance = self._scheme(values, kT, types, force)
        return advance(state.set(mass=per_site(values["mass"], types)))

    def _scheme(self, values: Values, kT: float, types: np.ndarray, force: Force):
        dt = values["alpha"] * self.time_step
        rate = per_site(values["gamma"], types) / per_site(values["mass"], types)
        shift = space.free()[1]

        def forces(x, **kwargs):
            return force(x)

        return simulate.nvt_langevin(forces, shift, dt, kT, rate, center_velocity=False)

    def velocity(self, values: Values, state: State) -> Array:
        return values["alpha"] * state.momentum / state.mass

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
