"""A molecule in implicit solvent: OpenMM topology and system, and positions to start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from dynmatch.errors import DynmatchError

BOX_EDGE = 100.0
"""Edge of the box that stands for no box, nm: the images of a molecule in it never meet."""
OBC_OFFSET = 0.009
"""By which the Born radius of OBC falls short of an atom's, nm."""


@dataclass(frozen=True)
class Molecule:
    """What all replicas have in common.

    topology   OpenMM topology of all atoms
    system     OpenMM system: no cutoff, generalised Born solvent, bonds to hydrogen rigid
    positions  (n, 3) nm
    edge       edge of the box that stands for no box, nm
    """

    topology: app.Topology
    system: openmm.System
    positions: np.ndarray
    edge: float

    def start(self, seed: int) -> np.ndarray:
        """Positions (n, 3), nm: every replica starts from those of the file."""
        return self.positions


def build_molecule(
    topology: str | Path,
    force_field: Sequence[str],
    hydrogen_mass: float,
    where: str = "reference",
) -> Molecule:
    """The molecule of a PDB file with all its hydrogens, in the implicit solvent OBC2.

    force_field    OpenMM's names of XML files, without that of the solvent
    hydrogen_mass  amu, taken from the atom that carries the hydrogen (repartitioning)
    where          the section of the config that messages name

    The solvent is that of A. Onufriev, D. Bashford and D. A. Case, Proteins 55, 383 (2004),
    doi:10.1002/prot.20033, with the surface term of OpenMM's implicit/obc2.xml.

    Raises DynmatchError for a file that cannot be read or that the force field does not know.
    """
    try:
        pdb = app.PDBFile(str(topology))
    except Exception as error:  # the parser raises whatever it stumbles over
        raise DynmatchError(
            f"{where}.topology: {topology}: cannot be read as PDB: {error}"
        ) from error
    try:
        system = app.ForceField(*force_field, "implicit/obc2.xml").createSystem(
            pdb.topology,
            nonbondedMethod=app.NoCutoff,
            constraints=app.HBonds,
            hydrogenMass=hydrogen_mass * unit.dalton,
            # the solvent moves the whole molecule too
            removeCMMotion=False,
        )
    except ValueError as error:
        raise DynmatchError(
            f"{where}.force_field: {', '.join(force_field)}: cannot describe {topology}: {error}"
        ) from error
    _take_fast_solvent(system)
    positions = pdb.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
    return Molecule(pdb.topology, system, np.asarray(positions), BOX_EDGE)


def _take_fast_solvent(system: openmm.System) -> None:
    """Put OpenMM's built-in OBC force in the place of the equal one that is made of formulas.

    A small molecule's time step becomes some thirty times quicker on the Reference platform.
    """
    (index,) = [
        index
        for index, force in enumerate(system.getForces())
        if isinstance(force, openmm.CustomGBForce)
    ]
    formulas = system.getForce(index)
    solvent = openmm.GBSAOBCForce()
    solvent.setNonbondedMethod(openmm.GBSAOBCForce.NoCutoff)
    for particle in range(formulas.getNumParticles()):
        charge, radius, scaled = formulas.getParticleParameters(particle)
        solvent.addParticle(charge, radius + OBC_OFFSET, scaled / radius)
    system.removeForce(index)
    system.addForce(solvent)
