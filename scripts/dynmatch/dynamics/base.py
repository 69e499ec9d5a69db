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
    order    where a type has several that could change places: name of the value by which files
             have them in descending order
    """

    key: str
    column: str
    of_type: bool
    order: str = ""


class Equation(Protocol):
    """An equation of motion with its time step (ps): frozen and hashable, static under jit.

    name        in the registry, in files and in the config
    parameters  what is learned, by the name in `Values`
    gauge       what trajectories determine: the exponents of the values in each combination
    carried     values that tangents are carried for; one of each combination of the gauge, to the
                power of 1, and all that are in none
    moving      fields of a state that depend on the values: what tangents are carried of
    least, most what a value may learn to be at least and at most, where it has a bound

    `types` (N,) are those of the sites, a NumPy array; kT is in kJ/mol. Every state has `position`
    (N, 3) nm, unwrapped, and `rng`.
    """

    name: ClassVar[str]
    parameters: ClassVar[Mapping[str, Parameter]]
    gauge: ClassVar[Mapping[str, Mapping[str, int]]]
    carried: ClassVar[tuple[str, ...]]
    moving: ClassVar[tuple[str, ...]]
    least: Mapping[str, float]
    most: Mapping[str, float]
    time_step: float

    @classmethod
    def of(cls, settings: Settings) -> "Equation":
        """The equation of the config's section of that name."""

    @classmethod
    def of_values(cls, time_step: float, values: Values) -> "Equation":
        """The equation that has learned `values`, as a model file holds them."""

    def initial(self, scale: "Scale") -> dict[str, np.ndarray | float]:
        """Start values from what is known of the sites before a training."""

    def prepare(self, values: Values, kT: float, types: np.ndarray) -> Any:
        """Coefficients of a step, arrays that do not change while values are what they are."""

    def init(self, coefficients: Any, force: Force, key: Array, x: Array) -> Any:
        """A state at positions x (N, 3), with momenta, where there are any, at equilibrium."""

    def step(self, coefficients: Any, force: Force, state: Any) -> Any:
        """The state one time step later."""

    def start_tangents(self, state: Any) -> dict[tuple[str, str], Array]:
        """d(field)/d ln(value) of a state at equilibrium, by field and value, where it is not 0."""

    def velocity(self, coefficients: Any, state: Any) -> Array | None:
        """dR/dt (N, 3), nm/ps, half a step before `state`; None where positions are all there is.

        Between two positions BAOAB's velocities have the Maxwell distribution, in a harmonic well
        at any time step; on the step their mean square is too small by (w dt)^2/4, w the frequency
        of the well (B. Leimkuhler and C. Matthews, J. Chem. Phys. 138, 174102 (2013),
        doi:10.1063/1.4802990). For water at 0.01 ps that is 2 %.
        """

    def free_motion(self, values: Values, kT: float, time: float) -> float:
        """Standard deviation (nm) of a coordinate after `time` (ps) without forces, the largest
        over the types of sites."""

    def identifiable(self, values: Values, kT: float) -> dict[str, Any]:
        """What trajectories determine, by the name of its column, (T,) over types: D0 = kB T
        alpha/gamma (nm^2/ps), gamma/alpha (amu/ps), and what else there is."""


@dataclass(frozen=True)
class Scale:
    """What start values are made of, (T,) over types.

    mass       mean mass of the sites, amu
    friction   kB T/D of the reference, amu/ps, shared out to the sites of a molecule
    frequency  of a site in the forces of the others at the start: (<F^2>/3 m kB T)^(1/2), 1/ps
    """

    mass: np.ndarray
    friction: np.ndarray
    frequency: np.ndarray


def per_site(value: Array, types: np.ndarray) -> Array:
    """A value over types (T,) as a column (N, 1) over sites; that of the only type as it is."""
    return value[0] if len(value) == 1 else value[jnp.asarray(types)][:, None]


def in_order(equation: Equation, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """`values` with the numbers of each type in the order of files; the motion is the same."""
    by = {parameter.order for parameter in equation.parameters.values()} - {""}
    orders = {name: np.argsort(-np.asarray(values[name]), 1, kind="stable") for name in by}
    return {
        name: np.take_along_axis(np.asarray(value), orders[equation.parameters[name].order], 1)
        if equation.parameters[name].order
        else value
        for name, value in values.items()
    }


def exponents(
    equation: Equation, sizes: Mapping[str, int], frozen: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """For each value in `sizes`, the matrix (combinations, size) of d ln(combination)/d ln(value).

    `sizes` are numbers of types, or 1; every type has combinations of its own, in the order of the
    gauge. Columns of `frozen` values are 0.
    """
    types = max(sizes.values(), default=1)
    rows = {name: [] for name in sizes}
    for combination in equation.gauge.values():
        for name, blocks in rows.items():
            power = 0 if name in frozen else combination.get(name, 0)
            shape = np.eye(types) if equation.parameters[name].of_type else np.ones((types, 1))
            blocks.append(power * shape)
    return {name: np.concatenate(blocks) for name, blocks in rows.items()}
