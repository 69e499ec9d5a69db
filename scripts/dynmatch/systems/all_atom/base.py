"""What is simulated with all its atoms, as the simulation knows it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import openmm
from openmm import app, unit


class AllAtomSystem(Protocol):
    """Atoms in a periodic box, the same for all replicas; it is sent to worker processes.

    topology   OpenMM topology of all particles, those that are recorded first
    system     OpenMM system
    recorded   number of particles that a trajectory holds
    edge       edge of the box, nm
    """

    @property
    def topology(self) -> app.Topology: ...

    @property
    def system(self) -> openmm.System: ...

    @property
    def recorded(self) -> int: ...

    @property
    def edge(self) -> float: ...

    def start(self, seed: int) -> np.ndarray:
        """Positions (n, 3), nm, that a replica with this seed starts from."""

    def equilibrated_in(self, temperature: float, seed: int) -> openmm.System:
        """The OpenMM system that equilibrates the box: with a barostat, or the system itself."""


@dataclass(frozen=True)
class Cube:
    """A liquid at its density, all of it recorded; how a replica starts is up to its kind.

    topology  OpenMM topology of all particles
    system    OpenMM system
    edge      edge of the cubic box, nm
    """

    topology: app.Topology
    system: openmm.System
    edge: float

    @property
    def recorded(self) -> int:
        """Number of particles that a trajectory holds: all."""
        return self.system.getNumParticles()

    def equilibrated_in(self, temperature: float, seed: int) -> openmm.System:
        """The system itself, at its density."""
        return self.system


def put_in_cube(topology: app.Topology, system: openmm.System, edge: float) -> None:
    """Give both a cubic box of this edge, nm."""
    vectors = np.eye(3) * edge
    topology.setPeriodicBoxVectors(vectors * unit.nanometer)
    system.setDefaultPeriodicBoxVectors(*(openmm.Vec3(*row) for row in vectors))
