"""A periodic box of rigid water: OpenMM topology and system, and positions to start from."""

import math
from dataclasses import dataclass

import numpy as np
from openmm import app, unit
from scipy.spatial.transform import Rotation

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import cubic_edge
from dynmatch.systems.all_atom.base import Cube, put_in_cube
from dynmatch.systems.all_atom.particles import masses

WATER_MODELS = ("spce", "tip3p", "tip3pfb", "opc3", "tip4pew", "tip4pfb", "opc", "tip5p")
"""Rigid models with three atoms and up to two virtual sites, by the names of OpenMM's files."""

OH_LENGTH = 0.1
HOH_ANGLE = math.radians(109.47)
"""A starting geometry (nm, radian) for every model; its own constraints then set it right."""


@dataclass(frozen=True)
class WaterBox(Cube):
    """What all replicas have in common: virtual sites are particles too; particle-mesh Ewald, rigid
    molecules, centre of mass at rest."""

    def start(self, seed: int) -> np.ndarray:
        """Positions (n, 3), nm, on a lattice: a start for a replica."""
        return lattice_positions(self, seed)


def build_box(
    model: str, molecules: int, density: float, cutoff: float, where: str = "reference"
) -> WaterBox:
    """A cube of `molecules` at a mass density in g/cm^3.

    `cutoff` (nm) is the real-space cutoff; `where` is the config section that messages name.
    Raises DynmatchError for an unknown model and a cutoff beyond half the box.
    """
    if model not in WATER_MODELS:
        raise DynmatchError(
            f"{where}.water_model: unknown model {model!r}; one of {', '.join(WATER_MODELS)}"
        )
    force_field = app.ForceField(f"{model}.xml")
    topology = _molecules(molecules)
    # a box of any size will do until the masses, and with them the size, are known
    topology.setPeriodicBoxVectors(np.eye(3) * unit.nanometer)
    modeller = app.Modeller(topology, np.zeros((3 * molecules, 3)) * unit.nanometer)
    modeller.addExtraParticles(force_field)
    topology = modeller.topology
    system = force_field.createSystem(
        topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=cutoff * unit.nanometer,
        rigidWater=True,
    )
    edge = cubic_edge(masses(system).sum(), density)
    if cutoff > edge / 2:
        raise DynmatchError(
            f"{where}.cutoff: {cutoff} nm is beyond half the box, {edge / 2:.4f} nm for "
            f"{molecules} molecules at {density} g/cm^3; make it shorter or raise {where}.molecules"
        )
    put_in_cube(topology, system, edge)
    return WaterBox(topology, system, edge)


def lattice_positions(box: WaterBox, seed: int) -> np.ndarray:
    """Positions (n, 3), nm: molecules on a cubic lattice, with random orientations.

    The model's constraints and virtual sites are not yet applied.
    """
    molecules = box.topology.getNumResidues()
    sites = box.system.getNumParticles() // molecules
    atoms = _lattice(molecules, box.edge, np.random.default_rng(seed))
    # a virtual site starts on its oxygen: OpenMM computes where it belongs
    virtual = np.repeat(atoms[:, :1], sites - 3, axis=1)
    return np.concatenate([atoms, virtual], axis=1).reshape(-1, 3)


def _molecules(count: int) -> app.Topology:
    topology = app.Topology()
    chain = topology.addChain()
    oxygen, hydrogen = app.element.oxygen, app.element.hydrogen
    for _ in range(count):
        residue = topology.addResidue("HOH", chain)
        center = topology.addAtom("O", oxygen, residue)
        for name in ("H1", "H2"):
            topology.addBond(center, topology.addAtom(name, hydrogen, residue))
    return topology


def _lattice(count: int, edge: float, rng: np.random.Generator) -> np.ndarray:
    """O, H, H positions, (count, 3, 3) nm: random sites of the smallest cubic lattice that fits."""
    side = math.ceil(round(count ** (1 / 3), 9))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    chosen = np.sort(rng.permutation(len(sites))[:count])
    centers = (sites[chosen] + 0.5) * edge / side
    half = HOH_ANGLE / 2
    arm = OH_LENGTH * np.array([math.sin(half), math.cos(half), 0.0])
    molecule = np.array([[0, 0, 0], arm, arm * [-1, 1, 1]])
    return centers[:, None] + np.einsum("nij,aj->nai", _rotations(count, rng), molecule)


def _rotations(count: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform rotation matrices (count, 3, 3)."""
    return Rotation.random(count, random_state=rng).as_matrix()
