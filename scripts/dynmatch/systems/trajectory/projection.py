"""A user's own trajectory, in any format that MDTraj reads, as one of coarse-grained sites.

Topology, trajectory files and mapping are checked on the way: what is wrong with them is told in
words that name the file or the key, before anything is learned from them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import mdtraj
import numpy as np
from scipy.io import netcdf_file
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import heights, points_for_tree, reduced, vectors_of
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.mapping import Site, map_sites, site_bonds, site_topology, weights_of
from dynmatch.sites.projection import (
    apply_mapping,
    generations,
    make_whole,
    put_next_to,
    unwrap,
)
from dynmatch.sites.topology import parts_of
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.systems.trajectory import lammps_dump, npt
from dynmatch.units import BOLTZMANN

CHUNK = 500
"""All-atom frames in memory at a time."""
WITHOUT_TIMES = (".dcd", ".xyz", ".xyz.gz", ".pdb", ".pdb.gz", ".binpos", ".lammpstrj", ".mdcrd")
"""Suffixes of formats whose frames carry no time; MDTraj then counts them from 0."""
NETCDF = (".nc", ".netcdf", ".ncdf")
"""Suffixes of a format whose frames may."""
NEIGHBOUR = (0.05, 0.8)
"""Range of the mean distance of an atom to its nearest neighbour, nm: a bond of hydrogen is 0.1, a
coarse bead's neighbour at 0.5."""
LONGEST_BOND = 3.0
"""Mean length of the bonds over that distance: 1 to 1.5 in a molecule."""
DIFFUSION = (3e-6, 0.3)
"""Range of a liquid's diffusion constant, nm^2/ps (water: 2e-3, an ionic liquid: 1e-5)."""
NO_BOX = 1e4
"""Edge of the box that stands for none while files are read, nm: nothing is as large."""
LONGEST_GROUP = 0.9
"""Of half the box: how far an atom without bonds may be from the first of its group."""
BALLISTIC = 1.5
"""Largest mean squared displacement between two frames, over that of free flight."""


def project_own(
    topology: str | Path,
    trajectories: Sequence[str | Path],
    frame_spacing: float,
    temperature: float,
    definitions: Sequence[Mapping] = (),
    cutoffs: Mapping[str, float] | None = None,
    periodic: bool = True,
    box: str = "mean",
    where: str = "reference",
    molecules: Sequence[Mapping] = (),
) -> SiteTrajectory:
    """The sites of a user's trajectories; each file is a replica of its own.

    topology      a file from which MDTraj reads names, residues, elements and bonds
    frame_spacing ps, the same in all files
    temperature   K
    definitions   of the sites, and of whole `molecules`, see `mapping.map_sites`
    cutoffs       lengths (nm) by key of the config, none of which may exceed half a height of the
                  box
    periodic      whether the system is; if not, boxes in the files are not looked at, and the sites
                  are put in a cube of twice their largest extent and the longest cutoff, in which
                  images do not meet
    box           what is done about boxes that change, see `npt.common`
    where         the config section that messages name

    Sites are unwrapped within a file, and sites of one molecule start next to each other. There are
    no velocities and no forces: MDTraj reads none.

    Raises DynmatchError, naming the key or the file, for what cannot be read or used.
    """
    atoms = _load_topology(topology, where)
    sites = map_sites(atoms, definitions, where, molecules)
    bonds = site_bonds(atoms, sites)
    matrix = weights_of(sites, atoms.n_atoms)
    positions, times, vectors = [], [], []
    for path in trajectories:
        frames, of_file = _read(
            Path(path), topology, atoms, sites, matrix, frame_spacing, periodic, where
        )
        vectors.append(of_file)
        positions.append(frames)
        times.append(np.arange(len(frames)) * frame_spacing)
    cutoffs = cutoffs or {}
    if periodic:
        cell, scale = npt.common(vectors, box, f"{where}.box")
        positions = [npt.scaled(x, of[0], cell) for x, of in zip(positions, vectors, strict=True)]
        edges = reduced(cell)
    else:
        extent = max(np.ptp(frames, axis=1).max() for frames in positions)
        edges, scale = np.full(3, 2 * extent + max(cutoffs.values(), default=0.0)), None
    _check_cutoffs(cutoffs, edges)
    of_sites = site_topology(atoms, sites, bonds)
    unwrapped = []
    for frames in positions:
        first = frames[:1].astype(np.float64)
        first = make_whole(first, of_sites.molecules, edges, of_sites.bonds)[0]
        unwrapped.append(unwrap(frames, first, edges).astype(np.float32))
    trajectory = SiteTrajectory(
        positions=np.concatenate(unwrapped),
        time=np.concatenate(times),
        masses=np.array([site.mass for site in sites]),
        topology=of_sites,
        box=edges,
        scale=scale,
    )
    check_units(trajectory, temperature, where, liquid=periodic)
    return trajectory


def check_units(
    trajectory: SiteTrajectory, temperature: float, where: str, liquid: bool = True
) -> None:
    """Raise DynmatchError where the motion of the sites is that of no substance in nm and ps, or,
    for a `liquid`, their diffusion."""
    replica = trajectory.replicas()[0]
    spacing = replica.frame_spacing
    drift = np.average(replica.positions, axis=1, weights=replica.masses)
    x = replica.positions - drift[:, None]
    step = np.mean(np.sum((x[1:] - x[:-1]) ** 2, -1))
    free = 3 * BOLTZMANN * temperature * np.mean(1 / replica.masses) * spacing**2
    if step > BALLISTIC * free:
        raise DynmatchError(
            f"{where}.frame_spacing: within {spacing:g} ps the sites move {np.sqrt(step):.2g} nm, "
            f"farther than free flight at {temperature:g} K would take them "
            f"({np.sqrt(free):.2g} nm); is it in ps, and the temperature right?"
        )
    if not liquid:
        return
    lag = max(1, len(x) // 10)
    d = np.mean(np.sum((x[lag:] - x[:-lag]) ** 2, -1)) / (6 * lag * spacing)
    if not DIFFUSION[0] <= d <= DIFFUSION[1]:
        raise DynmatchError(
            f"{where}.frame_spacing: the sites diffuse with D = {d:.2g} nm^2/ps, which no liquid "
            f"does ({DIFFUSION[0]:g} to {DIFFUSION[1]:g}); is it in ps?"
        )


def _check_cutoffs(cutoffs: Mapping[str, float], box: np.ndarray) -> None:
    low = heights(box).min()
    for key, cutoff in cutoffs.items():
        if cutoff > low / 2:
            raise DynmatchError(
                f"{key}: {cutoff:g} nm is beyond half the box of the trajectory; take at most "
                f"{np.floor(500 * low) / 1000:g} nm"
            )


def _load_topology(path: str | Path, where: str) -> mdtraj.Topology:
    try:
        return mdtraj.load_topology(str(path))
    except Exception as error:  # MDTraj raises a different class for each format
        raise DynmatchError(
            f"{where}.topology: {path}: cannot be read as a topology: {_first_line(error)}"
        ) from error


def _read(
    path: Path,
    topology: str | Path,
    atoms: mdtraj.Topology,
    sites: Sequence[Site],
    matrix: csr_array,
    spacing: float,
    periodic: bool,
    where: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the sites in any image, (F, N, 3) nm, of one file, scaled to its first box; and
    the box of each frame as vectors (F, 3, 3), nm."""
    groups = [site.atoms for site in sites]
    bonds = [(a.index, b.index) for a, b in atoms.bonds]
    order, loose = generations(groups, bonds), _without_bonds(groups, bonds, atoms.n_atoms)
    scaled = False
    if lammps_dump.is_dump(path):
        lammps_dump.check_steps(path)
        scaled = lammps_dump.is_scaled(path)
    parts, times, boxes, box, last = [], [], [], None, None
    with tqdm(desc=path.name, unit=" frames", mininterval=1) as bar:
        for chunk in _chunks(path, topology, atoms):
            vectors = _boxes(path, chunk, periodic, where)
            boxes.append(vectors)
            if scaled:
                # MDTraj takes them for angstroms
                chunk.xyz = np.einsum("fnk,fkx->fnx", 10.0 * chunk.xyz, vectors)
            if box is None:
                box = reduced(vectors[0])
                _check_lengths(chunk.xyz[0].astype(np.float64), box, atoms, path)
            if not np.isfinite(chunk.xyz).all():
                raise DynmatchError(f"{path}: a coordinate is not a number")
            _refuse_repeated(path, chunk.xyz, last, sum(map(len, times)))
            last = chunk.xyz[-1]
            x = npt.scaled(chunk.xyz.astype(np.float64), vectors, boxes[0][0])
            whole = put_next_to(x, order, box)
            _refuse_long(path, whole, [groups[k] for k in loose], [sites[k] for k in loose], box)
            parts.append(apply_mapping(matrix, whole))
            times.append(chunk.time)
            bar.update(len(chunk))
    frames = np.concatenate(parts) if parts else np.empty((0, len(sites), 3))
    if len(frames) < 3:
        raise DynmatchError(f"{path}: holds {len(frames)} frames; it takes 3 at least")
    if _has_times(path):
        _check_times(path, np.concatenate(times).astype(np.float64), spacing, where)
    return frames, np.concatenate(boxes)


def _without_bonds(
    groups: Sequence[np.ndarray], bonds: Sequence[tuple[int, int]], count: int
) -> list[int]:
    """Groups, of `count` atoms in all, that bonds between their own atoms do not hold together."""
    owner = np.full(count, -1)
    for number, group in enumerate(groups):
        owner[group] = number
    part = parts_of(count, [(i, j) for i, j in bonds if owner[i] == owner[j]])
    return [k for k, group in enumerate(groups) if len(set(part[group].tolist())) > 1]


def _refuse_long(
    path: Path,
    whole: np.ndarray,
    groups: Sequence[np.ndarray],
    sites: Sequence[Site],
    box: np.ndarray,
) -> None:
    """Raise DynmatchError where atoms of a group without bonds are so far from its first that
    another image of them may be the right one."""
    farthest = LONGEST_GROUP * heights(box).min() / 2
    for group, site in zip(groups, sites, strict=True):
        reach = np.sqrt(np.sum((whole[:, group] - whole[:, group[:1]]) ** 2, -1)).max()
        if reach > farthest:
            raise DynmatchError(
                f"{path}: atoms of a site {site.name} are {reach:.2g} nm apart, about half the "
                "box, and the topology has no bonds that would tell which of their images belong "
                "together; give a topology with bonds"
            )


def _refuse_repeated(path: Path, x: np.ndarray, before: np.ndarray | None, done: int) -> None:
    """Raise DynmatchError where a frame is that before it: nothing stands still."""
    x = x if before is None else np.concatenate([before[None], x])
    same = np.flatnonzero((x[1:] == x[:-1]).all((1, 2)))
    if len(same):
        number = done + same[0] - (before is not None)
        raise DynmatchError(
            f"{path}: frames {number} and {number + 1} are the same, as where a run was restarted; "
            "leave out what is double, or give the parts as files of their own"
        )


def _chunks(
    path: Path, topology: str | Path, atoms: mdtraj.Topology
) -> Iterator[mdtraj.Trajectory]:
    try:
        for chunk in mdtraj.iterload(str(path), chunk=CHUNK, top=str(topology)):
            if chunk.n_atoms != atoms.n_atoms:
                raise DynmatchError(_disagreement(path, topology, chunk.n_atoms, atoms.n_atoms))
            yield chunk
    except DynmatchError:
        raise
    except Exception as error:  # MDTraj raises a different class for each format
        shape = re.search(r"xyz must be shape .* \(\d+, (\d+), 3\)", str(error))
        if shape:
            raise DynmatchError(
                _disagreement(path, topology, int(shape[1]), atoms.n_atoms)
            ) from error
        raise DynmatchError(
            f"{path}: cannot be read as a trajectory: {_first_line(error)}"
        ) from error


def _disagreement(path, topology, here: int, there: int) -> str:
    return (
        f"{path}: has {here} atoms, not the {there} of the topology {topology}; give the topology "
        "that this trajectory was written with"
    )


def _boxes(path: Path, chunk: mdtraj.Trajectory, periodic: bool, where: str) -> np.ndarray:
    """The box of each frame as vectors (F, 3, 3), nm."""
    if not periodic:
        return np.tile(np.diag(np.full(3, NO_BOX)), (len(chunk), 1, 1))
    if chunk.unitcell_lengths is None or not chunk.unitcell_lengths.all():
        raise DynmatchError(
            f"{path}: has no box; write the trajectory in a format that keeps it (XTC, TRR, DCD, "
            f"NetCDF, HDF5), or set {where}.periodic to false for a system without"
        )
    with np.errstate(invalid="ignore"):
        vectors = vectors_of(chunk.unitcell_lengths, chunk.unitcell_angles)
    if not np.isfinite(vectors).all():
        raise DynmatchError(
            f"{path}: its box has angles of {chunk.unitcell_angles[0]} degrees, which no box has"
        )
    return vectors


def _check_lengths(
    positions: np.ndarray, box: np.ndarray, atoms: mdtraj.Topology, path: Path
) -> None:
    """Raise DynmatchError where the atoms' distances are plainly in other units than nm, or bonded
    atoms are far apart."""
    points, _, size = points_for_tree(positions, box, NEIGHBOUR[1])
    nearest = KDTree(points, boxsize=size).query(points[: len(positions)], 2)[0][:, 1].mean()
    if not NEIGHBOUR[0] <= nearest <= NEIGHBOUR[1]:
        raise DynmatchError(
            f"{path}: the nearest neighbour of an atom is {nearest:.2g} nm away on average, which "
            f"no substance has ({NEIGHBOUR[0]:g} to {NEIGHBOUR[1]:g} nm): are its units those that "
            "MDTraj expects of this format, or is the topology another's?"
        )
    bonds = np.array([(a.index, b.index) for a, b in atoms.bonds], int).reshape(-1, 2)
    if len(bonds):
        length = coordinate(positions, bonds, box).mean()
        if length > LONGEST_BOND * nearest:
            raise DynmatchError(
                f"{path}: atoms that the topology bonds are {length:.2g} nm apart on average, and "
                f"an atom's nearest neighbour {nearest:.2g} nm: are its atoms in another order "
                "than those of the topology?"
            )


def _has_times(path: Path) -> bool:
    """Whether frames carry times; where not, MDTraj counts them."""
    name = str(path).lower()
    if name.endswith(NETCDF):
        with netcdf_file(path, mmap=False) as file:
            return "time" in file.variables
    return not name.endswith(WITHOUT_TIMES)


def _check_times(path: Path, time: np.ndarray, spacing: float, where: str) -> None:
    """Raise DynmatchError where the file's own times are uneven or contradict the config."""
    steps = np.diff(time)
    if not steps.any():
        # 0 throughout: the program that wrote them had none
        return
    # times are kept in single precision
    tolerance = 0.01 * abs(steps[0]) + 4 * np.spacing(np.float32(np.abs(time).max()))
    uneven = np.flatnonzero(np.abs(steps - steps[0]) > tolerance)
    if len(uneven):
        raise DynmatchError(
            f"{path}: frames are missing or repeated after {time[uneven[0]]:g} ps, where the frame "
            f"spacing changes from {steps[0]:g} to {steps[uneven[0]]:g} ps"
        )
    measured = (time[-1] - time[0]) / (len(time) - 1)
    if abs(measured - spacing) > 0.01 * spacing:
        raise DynmatchError(
            f"{where}.frame_spacing is {spacing:g} ps, but the frames of {path} are "
            f"{measured:g} ps apart by its own times"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
