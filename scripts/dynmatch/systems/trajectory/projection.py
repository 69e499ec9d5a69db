"""A user's own trajectory, in any format that MDTraj or MDAnalysis reads, as one of coarse-grained
sites.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import reduced
from dynmatch.sites.mapping import Site, map_sites, site_bonds, site_topology
from dynmatch.sites.molecules import bonds_of
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage import memmap
from dynmatch.systems.trajectory import checks, npt
from dynmatch.systems.trajectory.atoms import Atoms, read_atoms, with_guessed_bonds
from dynmatch.systems.trajectory.frames import Reading, boxed_frames
from dynmatch.systems.trajectory.runs import join, read_run, unwrapped

logger = logging.getLogger(__name__)


def project_own(
    topology: str | Path | Sequence[str | Path] | Atoms,
    trajectories: Sequence[str | Path],
    frame_spacing: float,
    temperature: float,
    definitions: Sequence[Mapping] = (),
    cutoffs: Mapping[str, float] | None = None,
    periodic: bool = True,
    box: str = "mean",
    edges: Sequence[float] = (),
    where: str = "reference",
    molecules: Sequence[Mapping] = (),
    bonds: str = "file",
    lammps_units: str = "real",
) -> SiteTrajectory:
    """The sites of a user's trajectories; each file is a replica of its own, unless its times begin
    where those of the one before end: then it is a part of the same run.

    topology      file, or files of the same atoms (see `atoms.read_atoms`), with names, residues,
                  elements, masses and bonds; or the atoms that were read from them
    frame_spacing ps, the same in all files
    temperature   K
    definitions   of the sites, and of whole `molecules`, see `mapping.map_sites`
    cutoffs       lengths (nm) by key of the config, none of which may exceed half a height of the
                  box
    periodic      whether the system is; if not, boxes in the files are not looked at, and the sites
                  are put in a cube of twice their largest extent and the longest cutoff, in which
                  images do not meet
    box           what is done about boxes that change, see `npt.common`
    edges         (3,) nm, of the box, for files that have none
    where         the config section that messages name
    bonds         "file": those of the topology; "guess": from distances in the first frame
    lammps_units  of velocities and forces in LAMMPS's dumps, see `frames.Reading`

    Sites are unwrapped within a run, and sites of one molecule start next to each other. Velocities
    and forces are there where every frame of every file has them. A velocity is the weighted mean
    of the atoms'; a force their sum, which is that of a centre of mass (W. G. Noid et al., J. Chem.
    Phys. 128, 244114 (2008), doi:10.1063/1.2938860).

    Raises DynmatchError, naming the key or the file, for what cannot be read or used.
    """
    reading = Reading(periodic, edges, lammps_units, where)
    atoms = topology if isinstance(topology, Atoms) else read_atoms(topology, where)
    if bonds == "guess":
        atoms = guessed(atoms, trajectories[0], reading)
    sites = map_sites(atoms.topology, definitions, where, molecules, atoms.masses)
    joined = site_bonds(atoms.topology, sites, bonds_of(atoms.topology, molecules, where))
    of_sites = site_topology(atoms.topology, sites, joined, where)
    molecule = _molecules_of_atoms(sites, of_sites, atoms.topology.n_atoms)
    files = []
    for path in trajectories:
        frames = boxed_frames(path, atoms, reading)
        files.append(read_run(Path(path), frames, atoms, sites, molecule, where))
        checks.check_clock(files[-1].path, files[-1].time, files[-1].steps, frame_spacing, where)
    runs = join(files)
    lengths = [sum(len(part.positions) for part in parts) for parts in runs]
    for parts, length in zip(runs, lengths, strict=True):
        if length < 3:
            raise DynmatchError(f"{parts[0].path}: holds {length} frames; it takes 3 at least")
    files = [part for parts in runs for part in parts]
    cutoffs = cutoffs or {}
    if periodic:
        vectors, scale = npt.common([part.vectors for part in files], box, f"{where}.box")
        cell = reduced(vectors)
    else:
        extent = max(_extent(part.positions) for part in files)
        vectors, scale = None, None
        cell = np.full(3, 2 * extent + max(cutoffs.values(), default=0.0))
    checks.check_cutoffs(cutoffs, cell)
    trajectory = SiteTrajectory(
        positions=unwrapped(runs, vectors, cell, of_sites),
        time=np.concatenate([np.arange(count) * frame_spacing for count in lengths]),
        masses=np.array([site.mass for site in sites]),
        topology=of_sites,
        box=cell,
        velocities=_all([part.velocities for part in files], "velocities"),
        forces=_all([part.forces for part in files], "forces"),
        scale=scale,
    )
    checks.check_units(trajectory, temperature, where, liquid=periodic)
    if periodic:
        # a molecule by itself may turn faster in one run than in another
        checks.check_alike([parts[0].path for parts in runs], trajectory, where)
    return trajectory


def guessed(atoms: Atoms, path: str | Path, reading: Reading) -> Atoms:
    """The atoms with bonds by the distances in the first frame of a file."""
    first = next(boxed_frames(path, atoms, reading))
    box = reduced(first.vectors[0]) if reading.periodic else None
    return with_guessed_bonds(atoms, first.positions[0], box, reading.where)


def _molecules_of_atoms(sites: Sequence[Site], topology: SiteTopology, count: int) -> np.ndarray:
    """(n,) number of the molecule of each of `count` atoms; -1 of those in no site."""
    found = np.full(count, -1)
    for number, molecule in enumerate(topology.molecules):
        found[np.concatenate([sites[site].atoms for site in molecule])] = number
    return found


def _extent(positions: np.ndarray) -> float:
    """Largest extent of all sites in a frame, nm."""
    return float((positions.max(1) - positions.min(1)).max())


def _all(arrays: Sequence[np.ndarray | None], name: str) -> np.ndarray | None:
    if any(array is None for array in arrays):
        if any(array is not None for array in arrays):
            logger.warning("%s are left out: not every file has them", name)
        return None
    return memmap.concatenate(arrays)
