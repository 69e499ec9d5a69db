"""A periodic box of molecules of any kinds: OpenMM topology and system, and packed starts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openmm
from openmm import app, unit
from scipy.spatial.transform import Rotation

from dynmatch.errors import DynmatchError, told
from dynmatch.sites.box import cubic_edge
from dynmatch.systems.all_atom.base import Cube, put_in_cube
from dynmatch.systems.all_atom.particles import masses
from dynmatch.systems.all_atom.platforms import make_context

GAP = 0.2
"""Between the spheres about two molecules on the lattice that packing begins with, nm."""
SHRINKAGE = 0.97
"""Of the edge of the box in a step of the packing, at least."""
RELAXATION = 200
"""Time steps of Langevin dynamics after each of these steps, 1 fs at a friction of 10/ps: long
enough for chains to bend as they come near one another."""
ITERATIONS = 200
"""Of the energy's minimisation before them, at most."""


@dataclass(frozen=True)
class LiquidBox(Cube):
    """What all replicas have in common: each molecule after the other; rigid bonds, centre of mass
    at rest.

    molecules    positions (n, 3), nm, of each molecule as its file has them, in their order
    temperature  at which molecules are packed, K
    """

    molecules: tuple[np.ndarray, ...]
    temperature: float

    def start(self, seed: int) -> np.ndarray:
        """Positions (n, 3), nm, of a random packing: a start for a replica."""
        return packed(self, seed)


def build_liquid(
    molecules: Sequence[Mapping],
    force_field: Sequence[str],
    density: float,
    cutoff: float,
    temperature: float,
    where: str = "reference",
) -> LiquidBox:
    """A cube of molecules at a mass density in g/cm^3.

    molecules    file, a PDB file of one molecule with its bonds, and count, the number of them
    force_field  XML files of OpenMM, or names of those that come with it
    cutoff       of Lennard-Jones terms, and in real space of the particle-mesh Ewald sum, nm; there
                 is no such sum where nothing is charged
    temperature  of the packing, K
    where        the section of the config that messages name

    All bonds, and the angles of water, are rigid.

    Raises DynmatchError for a file that cannot be read or that the force field does not know, and
    for a cutoff beyond half the box.
    """
    files = [_read(each["file"], f"{where}.molecules[{k}]") for k, each in enumerate(molecules)]
    counts = [each["count"] for each in molecules]
    topology = _repeated(zip((file.topology for file in files), counts, strict=True))
    # a box of any size will do until the masses, and with them the size, are known
    topology.setPeriodicBoxVectors(np.eye(3) * unit.nanometer)
    try:
        system = app.ForceField(*force_field).createSystem(
            topology,
            nonbondedMethod=app.PME,
            nonbondedCutoff=cutoff * unit.nanometer,
            constraints=app.AllBonds,
            rigidWater=True,
        )
    except Exception as error:  # the parser raises whatever it stumbles over
        raise DynmatchError(
            f"{where}.force_field: {', '.join(force_field)}: cannot describe the molecules: "
            f"{told(error)}"
        ) from error
    _take_cutoff_where_nothing_is_charged(system)
    edge = cubic_edge(masses(system).sum(), density)
    if cutoff > edge / 2:
        raise DynmatchError(
            f"{where}.cutoff: {cutoff} nm is beyond half the box, {edge / 2:.4f} nm for these "
            f"molecules at {density} g/cm^3; make it shorter or take more molecules"
        )
    put_in_cube(topology, system, edge)
    positions = [np.asarray(file.positions.value_in_unit(unit.nanometer)) for file in files]
    each = [x for x, count in zip(positions, counts, strict=True) for _ in range(count)]
    return LiquidBox(topology, system, edge, tuple(each), temperature)


def packed(box: LiquidBox, seed: int) -> np.ndarray:
    """Positions (n, 3), nm: molecules at random nodes of a cubic lattice, with random orientations,
    far enough from one another, in a box that then shrinks to its size.

    At each step centres come nearer, overlaps are minimised away, and molecules move a little.
    """
    rng = np.random.default_rng(seed)
    centres, positions, edge = _lattice(box, rng)
    steps = math.ceil(math.log(max(edge / box.edge, 1.0)) / -math.log(SHRINKAGE))
    shrinkage = (box.edge / edge) ** (1 / max(steps, 1))
    integrator = openmm.LangevinMiddleIntegrator(box.temperature, 10.0, 0.001)
    velocity_seed, noise_seed = (int(number) for number in rng.integers(1, 2**31, 2))
    integrator.setRandomNumberSeed(noise_seed)
    context = make_context(box.system, integrator, "CPU", 1)
    of_molecule = np.repeat(np.arange(len(centres)), [len(each) for each in box.molecules])
    for _ in range(steps):
        edge *= shrinkage
        positions += ((shrinkage - 1) * centres)[of_molecule]
        context.setPeriodicBoxVectors(*(edge * np.eye(3)))
        context.setPositions(positions)
        openmm.LocalEnergyMinimizer.minimize(context, maxIterations=ITERATIONS)
        context.setVelocitiesToTemperature(box.temperature, velocity_seed)
        integrator.step(RELAXATION)
        state = context.getState(positions=True)
        positions = state.getPositions(asNumpy=True).value_in_unit(unit.nanometer)
        centres = _centres(positions, of_molecule)
    return positions


def _lattice(box: LiquidBox, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Centres (M, 3) and positions (n, 3) in nm, and the edge of the box, which is that asked for
    or larger."""
    count = len(box.molecules)
    side = math.ceil(round(count ** (1 / 3), 9))
    centred = [each - each.mean(0) for each in box.molecules]
    widest = 2 * max(np.linalg.norm(each, axis=1).max() for each in centred)
    edge = max(box.edge, side * (widest + GAP))
    nodes = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)
    centres = (rng.permutation(nodes)[:count] + 0.5) * edge / side
    turns = Rotation.random(count, random_state=rng)
    turned = [
        centre + turn.apply(each)
        for centre, turn, each in zip(centres, turns, centred, strict=True)
    ]
    return centres, np.concatenate(turned), edge


def _centres(positions: np.ndarray, of_molecule: np.ndarray) -> np.ndarray:
    """Means (M, 3) of the atoms of each molecule, which are whole."""
    sums = [np.bincount(of_molecule, coordinate) for coordinate in positions.T]
    return np.stack(sums, 1) / np.bincount(of_molecule)[:, None]


def _read(path: str | Path, key: str) -> app.PDBFile:
    try:
        return app.PDBFile(str(path))
    except Exception as error:  # the parser raises whatever it stumbles over
        raise DynmatchError(f"{key}: {path}: cannot be read as PDB: {told(error)}") from error


def _repeated(molecules: Iterable[tuple[app.Topology, int]]) -> app.Topology:
    """So many of each, one after the other, in one chain."""
    made = app.Topology()
    chain = made.addChain()
    for topology, count in molecules:
        for _ in range(count):
            copies = {}
            for residue in topology.residues():
                copy = made.addResidue(residue.name, chain)
                for atom in residue.atoms():
                    copies[atom] = made.addAtom(atom.name, atom.element, copy)
            for one, other in topology.bonds():
                made.addBond(copies[one], copies[other])
    return made


def _take_cutoff_where_nothing_is_charged(system: openmm.System) -> None:
    """An Ewald sum of nothing takes as long as any."""
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            charges = [force.getParticleParameters(k)[0] for k in range(force.getNumParticles())]
            if not any(charge.value_in_unit(unit.elementary_charge) for charge in charges):
                force.setNonbondedMethod(openmm.NonbondedForce.CutoffPeriodic)
