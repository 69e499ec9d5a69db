r"""Brownian dynamics: dR/dtau = F/gamma + sqrt(2 kB T/gamma) xi(tau).

The Leimkuhler-Matthews scheme,

    R_{n+1} = R_n + dt F(R_n)/gamma + sqrt(2 kT dt/gamma) (xi_n + xi_{n+1})/2,

costs what Euler-Maruyama (JAX-MD's `brownian`) costs, and samples the Boltzmann distribution with
an error of second order in dt instead of first (doi:10.1093/amrx/abs010). Only alpha/gamma can be
identified from trajectories.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, random

from dynmatch.dynamics.base import Force, Parameter, Scale, Values, per_site
from dynmatch.runtime.jax_md import dataclasses
from dynmatch.settings import BrownianSettings


@dataclasses.dataclass
class State:
    """position (N, 3) nm; force (N, 3) kJ/mol/nm there; noise (N, 3) drawn last; rng key."""

    position: Array
    force: Array
    noise: Array
    rng: Array


class Coefficients(NamedTuple):
    """mobility dt/gamma and kick sqrt(kT dt/2 gamma) of every site, (N, 1), or of all."""

    mobility: Array
    kick: Array


@dataclass(frozen=True)
class Equation:
    """See `dynamics.base.Equation`. gamma amu/ps, alpha without unit."""

    name: ClassVar[str] = "bd"
    parameters: ClassVar[dict[str, Parameter]] = {
        "gamma": Parameter("gamma", "gamma_amu_per_ps", of_type=True),
        "alpha": Parameter("alpha", "alpha", of_type=False),
    }
    gauge: ClassVar[dict[str, dict[str, int]]] = {"gamma_over_alpha": {"gamma": 1, "alpha": -1}}

    carried: ClassVar[tuple[str, ...]] = ("gamma",)
    moving: ClassVar[tuple[str, ...]] = ("position",)
    least: ClassVar[dict[str, float]] = {}
    most: ClassVar[dict[str, float]] = {}

    time_step: float

    @classmethod
    def of(cls, settings: BrownianSettings) -> "Equation":
        return cls(settings.time_step)

    @classmethod
    def of_values(cls, time_step: float, values: Values) -> "Equation":
        return cls(time_step)

    def initial(self, scale: Scale) -> dict:
        return {"gamma": scale.friction, "alpha": 1.0}

    def prepare(self, values: Values, kT: float, types: np.ndarray) -> Coefficients:
        dt, gamma = values["alpha"] * self.time_step, per_site(values["gamma"], types)
        return Coefficients(dt / gamma, jnp.sqrt(0.5 * kT * dt / gamma))

    def init(self, coefficients: Coefficients, force: Force, key: Array, x: Array) -> State:
        key, split = random.split(key)
        return State(x, force(x), random.normal(split, x.shape, x.dtype), key)

    def step(self, coefficients: Coefficients, force: Force, state: State) -> State:
        key, split = random.split(state.rng)
        noise = random.normal(split, state.position.shape, state.position.dtype)
        drift = state.force * coefficients.mobility
        kick = coefficients.kick * (state.noise + noise)
        x = state.position + (drift + kick)
        return State(x, force(x), noise, key)

    def start_tangents(self, state: State) -> dict:
        return {}

    def velocity(self, coefficients: Coefficients, state: State) -> None:
        return None

    def free_motion(self, values: Values, kT: float, time: float) -> float:
        gamma, alpha = (np.asarray(values[name], np.float64) for name in ("gamma", "alpha"))
        return float(np.max(np.sqrt(2 * kT * alpha / gamma * time)))

    def identifiable(self, values: Values, kT: float) -> dict:
        gamma, alpha = values["gamma"], values["alpha"]
        return {"d0_nm2_per_ps": kT * alpha / gamma, "gamma_over_alpha": gamma / alpha}
