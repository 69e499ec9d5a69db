"""Projection of an all-atom trajectory onto coarse-grained sites.

The mapping R = M r is linear: a site is a weighted mean of a group of atoms, here its centre of
mass. Velocities follow the same mapping. The force on a centre-of-mass site is the sum of the
forces on its atoms (W. G. Noid et al., J. Chem. Phys. 128, 244114 (2008), doi:10.1063/1.2938860).
It is taken from the potential energy alone: the forces that keep a molecule rigid act between
atoms of one group and cancel in the sum.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import tables
from openmm import unit
from scipy.sparse import csr_array
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.runtime.processes import report, side_by_side, stay_on_this_core
from dynmatch.sites.projection import apply_mapping, centre_of_mass_mapping, make_whole, unwrap
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.systems.all_atom.particles import masses
from dynmatch.systems.all_atom.platforms import make_context

CHUNK = 500
"""All-atom frames in a process at a time: some 80 MB for a thousand atoms."""


def atomic_forces(context: openmm.Context, positions: np.ndarray) -> np.ndarray:
    """Forces (F, n, 3), kJ/mol/nm, at positions (F, n, 3), nm, of whole molecules.

    Virtual sites are put where they belong, and the forces on them handed on to their atoms, by
    OpenMM; the entry of the virtual site itself is then to be ignored.
    """
    forces = np.empty(positions.shape, np.float64)
    for frame, coordinates in enumerate(positions):
        context.setPositions(coordinates)
        context.computeVirtualSites()
        state = context.getState(forces=True)
        forces[frame] = state.getForces(asNumpy=True).value_in_unit(_FORCE)
    return forces


def project(
    path: str | Path,
    system: openmm.System,
    platform: str = "CPU",
    threads: int = 1,
    replicas: int = 1,
    frames: int = 2,
    where: str = "reference",
) -> SiteTrajectory:
    """One site at the centre of mass of each residue of the all-atom trajectory at `path`.

    The file has MDTraj's HDF5 layout with the particles of `system`, wrapped into the box or not,
    and is read in chunks. It may hold several replicas: the time returns to its first value at the
    first frame of each, and sites are unwrapped within a replica. Velocities are None where the
    file has none. Forces are evaluated anew, frame by frame, on the OpenMM `platform`, in as many
    processes as `threads`; `where` is the config section that messages name.

    Raises DynmatchError, naming the file, when it is unreadable or truncated, has fewer than the
    `replicas` of at least `frames` that are asked for, does not belong to `system`, has no constant
    orthorhombic box, or misses or repeats frames.
    """
    mass = masses(system)
    with _reading(path), mdtraj.formats.HDF5TrajectoryFile(str(path)) as file:
        topology = file.topology
        if topology is None or topology.n_atoms != len(mass):
            raise DynmatchError(
                f"{path}: its topology does not have the {len(mass)} particles of the OpenMM system"
            )
        time = file.root.time.read().astype(np.float64)
        box = _box(path, file)
        with_velocities = "velocities" in file.root
    edges = _replica_edges(path, time, replicas, frames)
    groups = [np.array([atom.index for atom in r.atoms]) for r in topology.residues]
    source = _Source(
        path=path,
        system=openmm.XmlSerializer.serialize(system),
        platform=platform,
        where=where,
        groups=groups,
        matrix=centre_of_mass_mapping(groups, mass),
        box=box,
    )
    shape = (len(time), len(groups), 3)
    positions = np.empty(shape, np.float32)
    velocities = np.empty(shape, np.float32) if with_velocities else None
    forces = np.empty(shape, np.float32)
    chunks = list(_chunks(edges))
    with tqdm(total=len(time), desc="projection", unit=" frames", mininterval=1) as bar:
        parts = side_by_side(_project_chunk, [(source, chunk) for chunk in chunks], threads, bar)
        for chunk, (sites, site_velocities, site_forces) in zip(chunks, parts, strict=True):
            if chunk.start in edges:
                last = sites[0]
            sites = unwrap(sites, last, box)
            last = sites[-1]
            positions[chunk] = sites
            forces[chunk] = site_forces
            if velocities is not None:
                velocities[chunk] = site_velocities
    return SiteTrajectory(
        positions=positions,
        time=time - time[0],
        masses=np.array([mass[group].sum() for group in groups]),
        topology=independent_sites([residue.name for residue in topology.residues], "CG"),
        box=box,
        velocities=velocities,
        forces=forces,
    )


@dataclass(frozen=True)
class _Source:
    """An all-atom file, and how to project it: `system` as XML, `box` (3,) nm."""

    path: str | Path
    system: str
    platform: str
    where: str
    groups: Sequence[np.ndarray]
    matrix: csr_array
    box: np.ndarray


def _project_chunk(
    source: _Source, chunk: slice
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Positions in any image (nm), velocities (nm/ps) and forces (kJ/mol/nm), each (F, N, 3)."""
    stay_on_this_core()
    count = chunk.stop - chunk.start
    with _reading(source.path), mdtraj.formats.HDF5TrajectoryFile(str(source.path)) as file:
        file.seek(chunk.start)
        data = file.read(n_frames=count)
    if not np.array_equal(data.cell_lengths, np.tile(source.box, (count, 1))):
        raise DynmatchError(f"{source.path}: the box changes; simulate at constant volume")
    # a context of its own, so that the rounding of forces does not depend on what came before
    context = make_context(
        openmm.XmlSerializer.deserialize(source.system),
        openmm.VerletIntegrator(0.001),
        source.platform,
        1,
        source.where,
    )
    context.setPeriodicBoxVectors(*np.diag(source.box))
    whole = make_whole(data.coordinates.astype(np.float64), source.groups, source.box)
    members = (source.matrix > 0).astype(np.float64)
    velocities = None if data.velocities is None else apply_mapping(source.matrix, data.velocities)
    forces = apply_mapping(members, atomic_forces(context, whole))
    report(count)
    return apply_mapping(source.matrix, whole), velocities, forces


_FORCE = unit.kilojoule_per_mole / unit.nanometer


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Turn what HDF5 says of a damaged file into one message."""
    try:
        yield
    except (OSError, tables.HDF5ExtError, tables.NoSuchNodeError, KeyError, ValueError) as error:
        raise DynmatchError(
            f"{path}: cannot be read as an all-atom trajectory (missing, truncated or of another "
            f"layout): {str(error).strip().splitlines()[-1]}; delete it to have it made again"
        ) from error


def _box(path: str | Path, file: mdtraj.formats.HDF5TrajectoryFile) -> np.ndarray:
    """Edges (3,), nm, of the orthorhombic box in the first frame."""
    if "cell_lengths" not in file.root or not np.all(file.root.cell_angles[0] == 90):
        raise DynmatchError(f"{path}: has no orthorhombic periodic box")
    return file.root.cell_lengths[0].astype(np.float64)


def _replica_edges(path: str | Path, time: np.ndarray, replicas: int, frames: int) -> list[int]:
    """Index of the first frame of each replica, and the number of all frames."""
    edges = [*np.flatnonzero(time == time[:1]).tolist(), len(time)]
    shortest = min((end - start for start, end in pairwise(edges)), default=0)
    if len(edges) - 1 < replicas or shortest < frames:
        raise DynmatchError(
            f"{path}: has {len(edges) - 1} x {shortest} frames, fewer than the {replicas} x "
            f"{frames} asked for (replicas x frames)"
        )
    for start, end in pairwise(edges):
        _check_times(path, time[start:end])
    return edges


def _check_times(path: str | Path, time: np.ndarray) -> None:
    """Raise DynmatchError where the frames of a replica are not evenly spaced."""
    steps = np.diff(time)
    # MDTraj keeps times in single precision
    tolerance = 0.01 * steps[0] + 2 * np.spacing(np.float32(time[-1]))
    uneven = np.flatnonzero(np.abs(steps - steps[0]) > tolerance)
    if len(uneven):
        raise DynmatchError(
            f"{path}: frames are missing or repeated after {time[uneven[0]]:g} ps, where the frame "
            f"spacing changes from {steps[0]:g} to {steps[uneven[0]]:g} ps"
        )


def _chunks(edges: Sequence[int]) -> Iterator[slice]:
    """All frames in slices of at most `CHUNK` that do not cross an edge."""
    for start, end in pairwise(edges):
        for first in range(start, end, CHUNK):
            yield slice(first, min(first + CHUNK, end))
