r"""What an equation of motion is: everything that differs between one and another.

Sites move in the scaled time tau = alpha t of Wang & Voth (arXiv:2504.06505). The values that an
equation learns are positive, and learned as logarithms. Where each type of site has its own, they
are arrays (T,) over types, also where there is one type only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.settings import Settings

Values = Mapping[str, Array]
Force = Callable[[Array], Array]
"""Positions (N, 3), nm -> forces (N, 3), kJ/mol/nm."""


@dataclass(frozen=True)
class Parameter:
    """A value that an equation of motion learns.

    key      what the config calls it
    column   its name, with its unit, in files
    of_type  whether each type of site has its own
    """

    key: str
    column: str
    of_type: bool


class Equation(Protocol):
    """An equation of motion with its time step (ps): frozen and hashable, static under jit.

    name        in the registry, in files and in the config
    parameters  what is learned, by the name in `Values`
    gauge       what trajectories determine: the exponents of the values in each combination

    `types` (N,) are those of the sites, a NumPy array; kT is in kJ/mol. Every state has `position`
    (N, 3) nm, unwrapped, and `rng`.
    """

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]]
    gauge: ClassVar[Mapping[str, Mapping[str, int]]]
    time_step: float

    @classmethod
    def of(cls, settings: Settings) -> "Equation":
        """The equation of the config's section of that name."""

    def initial(self, friction: np.ndarray, mass: np.ndarray) -> dict[str, np.ndarray | float]:
        """Start values from a friction (amu/ps) and a mass (amu) of each type, (T,)."""

    def init(
        self, values: Values, kT: float, types: np.ndarray, force: Force, key: Array, x: Array
    ) -> Any:
        """A state at positions x (N, 3), with momenta, where there are any, at equilibrium."""

    def step(self, values: Values, kT: float, types: np.ndarray, force: Force, state: Any) -> Any:
        """The state one time step later."""

    def velocity(self, values: Values, state: Any) -> Array | None:
        """dR/dt (N, 3), nm/ps; None where positions are all there is."""

    def free_motion(self, values: Values, kT: float, time: float) -> float:
        """Standard deviation (nm) of a coordinate after `time` (ps) without forces, the largest
        over the types of sites."""

    def identifiable(self, values: Values, kT: float) -> dict[str, Any]:
        """What trajectories determine, by the name of its column, (T,) over types: D0 = kB T
        alpha/gamma (nm^2/ps), gamma/alpha (amu/ps), and what else there is."""


def per_site(value: Array, types: np.ndarray) -> Array:
    """A value over types (T,) as a column (N, 1) over sites; that of the only type as it is."""
    return value[0] if len(value) == 1 else value[jnp.asarray(types)][:, None]


def exponents(
    equation: Equation, sizes: Mapping[str, int], frozen: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """For each value, the matrix (combinations, size) of d ln(combination)/d ln(value).

    `sizes` are numbers of types, or 1; every type has combinations of its own. Columns of `frozen`
    values are 0.
    """
    types = max(sizes.values())
    rows = {name: [] for name in equation.parameters}
    for combination in equation.gauge.values():
        for name, parameter in equation.parameters.items():
            power = 0 if name in frozen else combination.get(name, 0)
            shape = np.eye(types) if parameter.of_type else np.ones((types, 1))
            rows[name].append(power * shape)
    return {name: np.concatenate(blocks) for name, blocks in rows.items()}
