"""A molecule in implicit or explicit solvent: OpenMM topology and system, and a start."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit

from dynmatch.errors import DynmatchError, told

BOX_EDGE = 100.0
"""Edge of the box that stands for no box, nm: the images of a molecule in it never meet."""
OBC_OFFSET = 0.009
"""By which the Born radius of OBC falls short of an atom's, nm."""
IMPLICIT = "obc2"
"""The implicit solvent; others are models of water, by the names of OpenMM's files."""
PRESSURE = 1.0
"""Of explicit solvent while it is equilibrated, bar."""


@dataclass(frozen=True)
class Molecule:
    """What all replicas have in common.

    topology   OpenMM topology of all particles, those of the molecule first
    system     OpenMM system, bonds to hydrogen rigid
    positions  (n, 3) nm of all particles
    recorded   number of particles of the molecule, which are the ones that a trajectory holds
    edge       edge of the box that stands for no box, nm
    """

    topology: app.Topology
    system: openmm.System
    positions: np.ndarray
    recorded: int
    edge: float

    def start(self, seed: int) -> np.ndarray:
        """Positions (n, 3), nm: every replica starts from those of the file."""
        return self.positions

    def equilibrated_in(self, temperature: float, seed: int) -> openmm.System:
        """The system, at constant pressure where the solvent is explicit."""
        if not self.system.usesPeriodicBoundaryConditions():
            return self.system
        system = copy.deepcopy(self.system)
        barostat = openmm.MonteCarloBarostat(PRESSURE, temperature)
        barostat.setRandomNumberSeed(seed)
        system.addForce(barostat)
        return system


def build_molecule(
    topology: str | Path,
    force_field: Sequence[str],
    hydrogen_mass: float,
    solvent: str = IMPLICIT,
    padding: float = 1.0,
    cutoff: float = 0.9,
    where: str = "reference",
) -> Molecule:
    """The molecule of a PDB file with all its hydrogens, in a solvent.

    force_field    OpenMM's names of XML files, without that of the solvent
    hydrogen_mass  amu, taken from the atom that carries the hydrogen (repartitioning); water stays
                   as it is
    solvent        obc2, implicit and without cutoff, or tip3p, spce, tip4pew: a cube of this water
                   with particle-mesh Ewald
    padding        least distance of the molecule from its images in water, and half the least edge
                   of the box, nm
    cutoff         in real space, nm, where there is water
    where          the section of the config that messages name

    OBC2 is that of A. Onufriev, D. Bashford and D. A. Case, Proteins 55, 383 (2004),
    doi:10.1002/prot.20033, with the surface term of OpenMM's implicit/obc2.xml.

    Raises DynmatchError for a file that cannot be read or that the force field does not know, and
    for a cutoff that is longer than half the box.
    """
    try:
        pdb = app.PDBFile(str(topology))
    except Exception as error:  # the parser raises whatever it stumbles over
        raise DynmatchError(
            f"{where}.topology: {topology}: cannot be read as PDB: {told(error)}"
        ) from error
    implicit = solvent == IMPLICIT
    solvent_file = "implicit/obc2.xml" if implicit else f"{solvent}.xml"
    ewald = {"nonbondedMethod": app.PME, "nonbondedCutoff": cutoff * unit.nanometer}
    whole = app.Modeller(pdb.topology, pdb.positions)
    try:
        parameters = app.ForceField(*force_field, solvent_file)
        if not implicit:
            whole.addSolvent(parameters, model=solvent, padding=padding * unit.nanometer)
        system = parameters.createSystem(
            whole.topology,
            constraints=app.HBonds,
            hydrogenMass=hydrogen_mass * unit.dalton,
            # the solvent moves the whole molecule too
            removeCMMotion=False,
            **({} if implicit else ewald),
        )
    except ValueError as error:
        raise DynmatchError(
            f"{where}.force_field: {', '.join(force_field)}: cannot describe {topology}: "
            f"{told(error)}"
        ) from error
    if implicit:
        _take_fast_solvent(system)
    else:
        _require_room(system, cutoff, where)
    return Molecule(
        whole.topology,
        system,
        np.asarray(whole.positions.value_in_unit(unit.nanometer)),
        pdb.topology.getNumAtoms(),
        BOX_EDGE,
    )


def _require_room(system: openmm.System, cutoff: float, where: str) -> None:
    edge = system.getDefaultPeriodicBoxVectors()[0][0].value_in_unit(unit.nanometer)
    # it shrinks a little under pressure
    if cutoff > 0.95 * edge / 2:
        raise DynmatchError(
            f"{where}.cutoff: {cutoff} nm is too long for a box of {edge:.3f} nm; make it shorter, "
            f"or raise {where}.padding"
        )


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
