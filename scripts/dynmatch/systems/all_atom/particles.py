"""What an OpenMM system says of its particles."""

import numpy as np
import openmm
from openmm import unit


def masses(system: openmm.System) -> np.ndarray:
    """Masses of all particles, amu; 0 marks a virtual site."""
    count = system.getNumParticles()
    return np.array([system.getParticleMass(i).value_in_unit(unit.dalton) for i in range(count)])


def degrees_of_freedom(system: openmm.System, particles: int | None = None) -> int:
    """Three per atom, less the constraints and the motion of the centre of mass.

    Of the first `particles`, which no constraint ties to others, or of all.
    """
    particles = system.getNumParticles() if particles is None else particles
    atoms = np.count_nonzero(masses(system)[:particles])
    constraints = sum(
        system.getConstraintParameters(index)[0] < particles
        for index in range(system.getNumConstraints())
    )
    still = any(isinstance(force, openmm.CMMotionRemover) for force in system.getForces())
    return 3 * atoms - constraints - 3 * still
