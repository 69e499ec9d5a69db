"""A coarse-grained model: potential and dynamics, and what trajectories determine of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.dynamics.base import Equation
from dynmatch.errors import DynmatchError
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import SiteTopology, independent_sites
from dynmatch.units import BOLTZMANN


@dataclass(frozen=True)
class Model:
    """A coarse-grained model, of any number of sites.

    equation    of motion, with its time step
    values      of its parameters, arrays (T,) over the potential's types or one for all
    potential   its fixed part
    parameters  its learned part, see `potentials.sum.Potential.initialise`
    temperature K
    topology    the sites it was trained on, where a file of format 1 names them; else None
    """

    equation: Equation
    values: Mapping[str, np.ndarray]
    potential: Potential
    parameters: Mapping[str, Any]
    temperature: float
    topology: SiteTopology | None = None

    @property
    def kT(self) -> float:
        """kJ/mol."""
        return BOLTZMANN * self.temperature

    @property
    def time_step(self) -> float:
        """ps."""
        return self.equation.time_step

    @property
    def bath(self) -> dict[str, Array]:
        """The values for JAX, in single precision."""
        return {name: jnp.asarray(value, jnp.float32) for name, value in self.values.items()}

    def sites(self, count: int) -> SiteTopology:
        """A topology of `count` sites: all of the only type, or those of a file of format 1.

        Raises DynmatchError where there are several types of sites or bonds between them, and the
        model does not name its sites.
        """
        if self.topology is not None and self.topology.n_sites == count:
            return self.topology
        if len(self.potential.names) > 1 or self.potential.term("bonded"):
            raise DynmatchError(
                f"the model has sites of types {', '.join(self.potential.names)}; which of them "
                f"the {count} here are, and how they are bonded, has to be given as their topology"
            )
        return independent_sites([self.potential.names[0]] * count, "CG")

    def identifiable(self) -> dict[str, np.ndarray]:
        """What trajectories determine, (T,) over types, by column: D0 = kB T alpha/gamma
        (nm^2/ps), gamma/alpha (amu/ps), and for Langevin dynamics m/alpha^2 (amu)."""
        return self.equation.identifiable(self.values, self.kT)

    def columns(self, number: int) -> dict[str, float | list[float]]:
        """Parameters and what is identifiable of one type, by the columns of files."""
        return _plain(
            {
                parameter.column: np.asarray(self.values[name])[number]
                if parameter.of_type
                else self.values[name]
                for name, parameter in self.equation.parameters.items()
            }
            | {name: value[number] for name, value in self.identifiable().items()}
        )

    def mean_columns(self, topology: SiteTopology) -> dict[str, float | list[float]]:
        """The same of the mean site of `topology`: the mean of the parameters over sites."""
        if len(self.potential.names) == 1:
            return self.columns(0)
        types = topology.types_among(self.potential.names)
        mean = {
            name: np.mean(np.asarray(self.values[name], np.float64)[types], 0, keepdims=True)
            if parameter.of_type
            else self.values[name]
            for name, parameter in self.equation.parameters.items()
        }
        one = Model(self.equation, mean, self.potential, self.parameters, self.temperature)
        return one.columns(0)


def _plain(values: Mapping[str, Any]) -> dict[str, float | list[float]]:
    return {name: np.asarray(value, np.float64).tolist() for name, value in values.items()}


def load(path):
    """`model_file.load`, by the name that scripts of exported models call it by."""
    from dynmatch.model_file import load

    return load(path)
