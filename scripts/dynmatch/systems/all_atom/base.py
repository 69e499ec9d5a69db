"""What is simulated with all its atoms, as the simulation knows it."""

from typing import Protocol

import numpy as np
import openmm
from openmm import app


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
