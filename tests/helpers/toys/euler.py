r"""Brownian dynamics by the scheme of Euler and Maruyama, whose only value is the friction gamma:

R_{n+1} = R_n + dt F(R_n)/gamma + sqrt(2 kB T dt/gamma) xi_n
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
    """position (N, 3) nm; rng key."""

    position: Array
    rng: Array


class Coefficients(NamedTuple):
    """mobility dt/gamma and kick sqrt(2 kT dt/gamma) of every site, (N, 1), or of all."""

    mobility: Array
    kick: Array


@dataclass(frozen=True)
class Equation:
    """See `dynamics.base.Equation`. gamma amu/ps."""

    name: ClassVar[str] = "em"
    parameters: ClassVar[dict[str, Parameter]] = {
        "gamma": Parameter("gamma", "gamma_amu_per_ps", of_type=True)
    }
    gauge: ClassVar[dict[str, dict[str, int]]] = {"gamma_over_alpha": {"gamma": 1}}
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
        return {"gamma": scale.friction}

    def prepare(self, values: Values, kT: float, types: np.ndarray) -> Coefficients:
        mobility = self.time_step / per_site(values["gamma"], types)
        return Coefficients(mobility, jnp.sqrt(2 * kT * mobility))

    def init(self, coefficients: Coefficients, force: Force, key: Array, x: Array) -> State:
        return State(x, key)

    def step(self, coefficients: Coefficients, force: Force, state: State) -> State:
        key, split = random.split(state.rng)
        x = state.position
        noise = random.normal(split, x.shape, x.dtype)
        return State(x + (coefficients.mobility * force(x) + coefficients.kick * noise), key)

    def start_tangents(self, state: State) -> dict:
        return {}

    def velocity(self, coefficients: Coefficients, state: State) -> None:
        return None

    def free_motion(self, values: Values, kT: float, time: float) -> float:
        return float(np.max(np.sqrt(2 * kT * time / np.asarray(values["gamma"], np.float64))))

    def identifiable(self, values: Values, kT: float) -> dict:
        return {"d0_nm2_per_ps": kT / values["gamma"], "gamma_over_alpha": values["gamma"]}
