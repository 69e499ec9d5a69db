"""Models for tests: dynamics of every kind on a given potential, with nothing trained."""

from pathlib import Path

import numpy as np

from dynmatch.dynamics.registry import equation_of
from dynmatch.model import Model
from dynmatch.model_file import save
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import SiteTopology, independent_sites

TEMPERATURE = 300.0
MARKOVIAN = {"gamma": (520.0, 130.0), "alpha": 1.3, "mass": (25.0, 40.0)}
MEMORY = {
    "gamma": (50.0, 20.0),
    "strength": ((30.0,), (12.0,)),
    "time": ((0.3,), (0.5,)),
    "cosine": ((400.0,), (200.0,)),
    "rate": ((2.0,), (3.0,)),
    "frequency": ((12.0,), (10.0,)),
    "alpha": 1.0,
    "mass": (25.0, 40.0),
}
"""Kernels of two types, so that velocities of free sites swing visibly."""


def model_of(kind: str, potential: Potential, parameters: dict, time_step: float = 0.005) -> Model:
    """A model whose dynamics are of this kind, with values of its own for each type."""
    kind, types = equation_of(kind), len(potential.names)
    given = MEMORY if "strength" in kind.parameters else MARKOVIAN
    values = {
        name: np.array(given[name][:types]) if parameter.of_type else given[name]
        for name, parameter in kind.parameters.items()
    }
    equation = kind.of_values(time_step, values)
    return Model(equation, values, potential, parameters, TEMPERATURE)


def kept(folder: Path, model: Model, topology: SiteTopology | None = None) -> Path:
    """`model` on disk."""
    topology = topology or independent_sites(model.potential.names, "R")
    save(folder / "model.yaml", folder / "model.npz", model, topology, {})
    return folder / "model.yaml"
