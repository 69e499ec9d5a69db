"""A user's own trajectory, in any format that MDTraj or MDAnalysis reads, as one of coarse-grained
sites.

Topology, trajectory files and mapping are checked on the way: what is wrong with them is told in
words that name the file or the key, before anything is learned from them.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import heights, minimum_image, points_for_tree, reduced
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.mapping import Site, map_sites, site_bonds, site_topology, weights_of
from dynmatch.sites.projection import (
    apply_mapping,
    generations,
    make_whole,
    put_next_to,
    unwrap,
)
from dynmatch.sites.topology import SiteTopology, parts_of
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage import memmap
from dynmatch.systems.trajectory import npt
from dynmatch.systems.trajectory.atoms import Atoms, read_atoms, several, with_guessed_bonds
from dynmatch.systems.trajectory.frames import Frames, frames_of
from dynmatch.units import BOLTZMANN

logger = logging.getLogger(__name__)

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
KINETIC = (0.4, 1.6)
"""Range of the sites' kinetic energy over 3/2 kB T each: constraints between sites take some."""
JUMP = 4.0
"""Largest root mean square step from one file into the next that continues it, over that of the
first within."""
JUDGED = 300
"""Sites that motion is judged by."""


@dataclass(frozen=True)
class Run:
    """What one file holds, projected; several files, where each continues the one before.

    path       of the (first) file
    positions  (F, N, 3) nm, in any image, in the box of the file's first frame
    vectors    (F, 3, 3) nm, box of each frame
    time       (F,) ps of the file, or None
    steps      (F,) of the simulation, or None
    velocities (F, N, 3) nm/ps, or None
    forces     (F, N, 3) kJ/mol/nm, or None
    """

    path: Path
    positions: np.ndarray
    vectors: np.ndarray
    time: np.ndarray | None
    steps: np.ndarray | None
    velocities: np.ndarray | None
    forces: np.ndarray | None


def project_own(
    topology: str | Path | Sequence[str | Path],
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
                  elements, masses and bonds
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
    lammps_units  of velocities and forces in LAMMPS's dumps, see `frames.frames_of`

    Sites are unwrapped within a run, and sites of one molecule start next to each other. Velocities
    and forces are there where every frame of every file has them. A velocity is the weighted mean
    of the atoms'; a force their sum, which is that of a centre of mass (W. G. Noid et al., J. Chem.
    Phys. 128, 244114 (2008), doi:10.1063/1.2938860).

    Raises DynmatchError, naming the key or the file, for what cannot be read or used.
    """
    named = several(topology)
    atoms = read_atoms(named, where)
    if bonds == "guess":
        first = next(_boxed(trajectories[0], atoms, named, periodic, edges, where, lammps_units))
        of_first = reduced(first.vectors[0]) if periodic else None
        atoms = with_guessed_bonds(atoms, first.positions[0], of_first)
    sites = map_sites(atoms.topology, definitions, where, molecules, atoms.masses)
    joined = site_bonds(atoms.topology, sites)
    of_sites = site_topology(atoms.topology, sites, joined)
    runs = []
    for path in trajectories:
        frames = _boxed(path, atoms, named, periodic, edges, where, lammps_units)
        runs.append(_read(Path(path), frames, atoms, sites))
        _check_clock(runs[-1], frame_spacing, where)
    runs = join(runs)
    for run in runs:
        if len(run.positions) < 3:
            raise DynmatchError(
                f"{run.path}: holds {len(run.positions)} frames; it takes 3 at least"
            )
    cutoffs = cutoffs or {}
    if periodic:
        vectors, scale = npt.common([run.vectors for run in runs], box, f"{where}.box")
        cell = reduced(vectors)
    else:
        extent = max(_extent(run.positions) for run in runs)
        vectors, scale = None, None
        cell = np.full(3, 2 * extent + max(cutoffs.values(), default=0.0))
    _check_cutoffs(cutoffs, cell)
    lengths = [len(run.positions) for run in runs]
    trajectory = SiteTrajectory(
        positions=_unwrapped(runs, vectors, cell, of_sites),
        time=np.concatenate([np.arange(count) * frame_spacing for count in lengths]),
        masses=np.array([site.mass for site in sites]),
        topology=of_sites,
        box=cell,
        velocities=_all([run.velocities for run in runs], "velocities"),
        forces=_all([run.forces for run in runs], "forces"),
        scale=scale,
    )
    check_units(trajectory, temperature, where, liquid=periodic)
    return trajectory


def _extent(positions: np.ndarray) -> float:
    """Largest extent of all sites in a frame, nm."""
    return float((positions.max(1) - positions.min(1)).max())


def _all(arrays: Sequence[np.ndarray | None], name: str) -> np.ndarray | None:
    if any(array is None for array in arrays):
        if any(array is not None for array in arrays):
            logger.warning("%s are left out: not every file has them", name)
        return None
    return memmap.concatenate(arrays)


def _unwrapped(
    runs: Sequence[Run], vectors: np.ndarray | None, box: np.ndarray, topology: SiteTopology
) -> np.ndarray:
    """(F, N, 3) nm: positions of all runs, scaled to the box of these `vectors` (3, 3), if any, and
    followed through the faces of `box`."""
    shape = (sum(len(run.positions) for run in runs), topology.n_sites, 3)
    found = memmap.empty(shape, np.dtype(np.float32))
    step, done = memmap.rows_at_once(shape, np.dtype(np.float64)), 0
    for run in runs:
        last = None
        for first in range(0, len(run.positions), step):
            x = run.positions[first : first + step].astype(np.float64)
            if vectors is not None:
                x = npt.scaled(x, run.vectors[0], vectors)
            if last is None:
                last = make_whole(x[:1], topology.molecules, box, topology.bonds)[0]
            x = unwrap(x, last, box)
            last = x[-1]
            found[done : done + len(x)] = x
            done += len(x)
            memmap.release(found)
            memmap.release(run.positions)
    return found


def join(runs: Sequence[Run]) -> list[Run]:
    """The runs, one for all those of which each continues the one before: by time or time step, and
    with the sites where they were left. A first frame that repeats the last one is left out."""
    made = list(runs[:1])
    for run in runs[1:]:
        skipped = _continues(made[-1], run)
        if skipped is None:
            made.append(run)
            continue
        logger.info("%s continues %s", run.path, made[-1].path)
        made[-1] = _with_part(made[-1], run, skipped)
    return made


def _continues(run: Run, after: Run) -> int | None:
    """Number of the frames of `after` that `run` has already, where it continues that; else
    None."""
    clock, then = (run.time, after.time) if run.time is not None else (run.steps, after.steps)
    if clock is None or then is None or len(clock) < 2:
        return None
    gap = (then[0] - clock[-1]) / (clock[-1] - clock[-2]) if clock[-1] > clock[-2] else np.inf
    if min(abs(gap), abs(gap - 1)) > 0.02:
        return None
    box = reduced(run.vectors[-1])
    start = npt.scaled(after.positions[0].astype(np.float64), after.vectors[0], run.vectors[0])
    jumped = minimum_image(start - run.positions[-1], box)
    moved = minimum_image(run.positions[-1].astype(np.float64) - run.positions[-2], box)
    if np.mean(jumped**2) > JUMP**2 * np.mean(moved**2):
        return None
    return int(round(gap) == 0)


def _with_part(run: Run, part: Run, skipped: int) -> Run:
    x = npt.scaled(part.positions[skipped:].astype(np.float64), part.vectors[0], run.vectors[0])
    joined = {"positions": memmap.concatenate([run.positions, x.astype(np.float32)])}
    for name in ("vectors", "time", "steps", "velocities", "forces"):
        old, new = getattr(run, name), getattr(part, name)
        both = old is not None and new is not None
        joined[name] = memmap.concatenate([old, new[skipped:]]) if both else None
    return replace(run, **joined)


def check_units(
    trajectory: SiteTrajectory, temperature: float, where: str, liquid: bool = True
) -> None:
    """Raise DynmatchError where the motion of the sites is that of no substance in nm and ps, or,
    for a `liquid`, their diffusion."""
    replica = trajectory.replicas()[0]
    spacing = replica.frame_spacing
    some = np.unique(np.linspace(0, replica.n_sites - 1, JUDGED).astype(int))
    masses = replica.masses[some]
    x = memmap.of_sites(replica.positions, some).astype(np.float64)
    # a few sites would take their own mean motion off with the drift
    everyone = np.average(
        [replica.positions[0], replica.positions[-1]], axis=1, weights=replica.masses
    )
    x -= np.linspace(0, 1, len(x))[:, None, None] * (everyone[1] - everyone[0])
    step = np.mean(np.sum((x[1:] - x[:-1]) ** 2, -1))
    free = 3 * BOLTZMANN * temperature * np.mean(1 / masses) * spacing**2
    if step > BALLISTIC * free:
        raise DynmatchError(
            f"{where}.frame_spacing: within {spacing:g} ps the sites move {np.sqrt(step):.2g} nm, "
            f"farther than free flight at {temperature:g} K would take them "
            f"({np.sqrt(free):.2g} nm); is it in ps, and the temperature right?"
        )
    if replica.velocities is not None:
        v = memmap.of_sites(replica.velocities, some).astype(np.float64)
        ratio = np.mean(np.sum(v**2, -1) @ masses) / len(some) / (3 * BOLTZMANN * temperature)
        if not KINETIC[0] <= ratio <= KINETIC[1]:
            raise DynmatchError(
                f"{where}: by their velocities the sites have {ratio:.3g} times the kinetic energy "
                f"of {temperature:g} K; is the temperature right, and, for dumps of LAMMPS, "
                f"{where}.lammps_units?"
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


def _boxed(
    path: str | Path,
    atoms: Atoms,
    named: Sequence[str | Path],
    periodic: bool,
    edges: Sequence[float],
    where: str,
    lammps_units: str,
) -> Iterator[Frames]:
    """Frames of a file, each with the vectors of its box: that of the file, of these `edges`, nm,
    or one in which nothing is near its image where the system is not `periodic`."""
    called = " and ".join(map(str, named))
    for some in frames_of(path, atoms.topology, called, lammps_units):
        vectors = some.vectors
        if not periodic:
            vectors = np.tile(NO_BOX * np.eye(3), (len(some), 1, 1))
        elif len(edges):
            if vectors is not None:
                raise DynmatchError(
                    f"{where}.edges: {path} has boxes of its own; leave the key out"
                )
            vectors = np.tile(np.diag(np.asarray(edges, np.float64)), (len(some), 1, 1))
        elif vectors is None:
            raise DynmatchError(
                f"{path}: has no box; give its edges, nm, as {where}.edges, write the trajectory "
                f"in a format that keeps it (XTC, TRR, DCD, NetCDF, HDF5), or set {where}.periodic "
                "to false for a system without"
            )
        yield replace(some, vectors=vectors)


def _read(path: Path, frames: Iterator[Frames], atoms: Atoms, sites: Sequence[Site]) -> Run:
    """One file, projected; positions of the sites are in any image, in its first box."""
    groups, bonds = [site.atoms for site in sites], atoms.bonds
    matrix = weights_of(sites, len(atoms.masses))
    order, loose = generations(groups, bonds), _without_bonds(groups, bonds, len(atoms.masses))
    kept = _Kept(matrix)
    box, first, last, done = None, None, None, 0
    with tqdm(desc=path.name, unit=" frames", mininterval=1) as bar:
        for some in frames:
            _refuse_not_finite(path, some, done)
            if box is None:
                first, box = some.vectors[0], reduced(some.vectors[0])
                _check_lengths(some.positions[0].astype(np.float64), box, bonds, path)
            _refuse_repeated(path, some.positions, last, done)
            done, last = done + len(some), some.positions[-1]
            x = npt.scaled(some.positions.astype(np.float64), some.vectors, first)
            whole = put_next_to(x, order, box)
            _refuse_long(path, whole, [groups[k] for k in loose], [sites[k] for k in loose], box)
            kept.add(some, whole)
            bar.update(len(some))
    if not done:
        raise DynmatchError(f"{path}: holds no frames")
    return kept.run(path)


class _Kept:
    """Chunks of projected frames, as they come, by the mapping `matrix` (N, n)."""

    def __init__(self, matrix: csr_array):
        sums = csr_array((np.ones_like(matrix.data), matrix.indices, matrix.indptr), matrix.shape)
        self.maps = {"positions": matrix, "velocities": matrix, "forces": sums}
        rows = {name: memmap.Growing((matrix.shape[0], 3), np.float32) for name in self.maps}
        self.parts: dict[str, list[np.ndarray] | memmap.Growing | None] = {
            "vectors": [],
            "time": [],
            "steps": [],
            **rows,
        }

    def add(self, frames: Frames, whole: np.ndarray) -> None:
        """`whole` are the positions (F, n, 3), nm, with the atoms of a site together."""
        for name, into in self.parts.items():
            values = whole if name == "positions" else getattr(frames, name)
            if values is None or into is None:
                self.parts[name] = None
            else:
                into.append(apply_mapping(self.maps[name], values) if name in self.maps else values)

    def run(self, path: Path) -> Run:
        found = {
            name: into.array()
            if isinstance(into, memmap.Growing)
            else into and np.concatenate(into)
            for name, into in self.parts.items()
        }
        return Run(path, **found)


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


def _refuse_not_finite(path: Path, some: Frames, done: int) -> None:
    for name in ("positions", "velocities", "forces"):
        values = getattr(some, name)
        if values is not None and not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values).all((1, 2)))[0]
            raise DynmatchError(f"{path}: {name} of frame {done + bad} are not finite numbers")


def _refuse_repeated(path: Path, x: np.ndarray, before: np.ndarray | None, done: int) -> None:
    """Raise DynmatchError where a frame is that before it: nothing stands still."""
    pairs = pairwise(x if before is None else [before, *x])
    for number, (one, other) in enumerate(pairs, done - (before is not None)):
        if np.array_equal(one, other):
            raise DynmatchError(
                f"{path}: frames {number} and {number + 1} are the same, as where a run was "
                "restarted; leave out what is double, or give the parts as files of their own"
            )


def _check_lengths(
    positions: np.ndarray, box: np.ndarray, bonds: Sequence[tuple[int, int]], path: Path
) -> None:
    """Raise DynmatchError where the atoms' distances are plainly in other units than nm, or atoms
    that `bonds` join are far apart."""
    points, _, size = points_for_tree(positions, box, NEIGHBOUR[1])
    nearest = KDTree(points, boxsize=size).query(points[: len(positions)], 2)[0][:, 1].mean()
    if not NEIGHBOUR[0] <= nearest <= NEIGHBOUR[1]:
        raise DynmatchError(
            f"{path}: the nearest neighbour of an atom is {nearest:.2g} nm away on average, which "
            f"no substance has ({NEIGHBOUR[0]:g} to {NEIGHBOUR[1]:g} nm): are its units those that "
            "are usual in this format, or is the topology another's?"
        )
    if len(bonds):
        length = coordinate(positions, np.array(bonds), box).mean()
        if length > LONGEST_BOND * nearest:
            raise DynmatchError(
                f"{path}: atoms that the topology bonds are {length:.2g} nm apart on average, and "
                f"an atom's nearest neighbour {nearest:.2g} nm: are its atoms in another order "
                "than those of the topology?"
            )


def _check_clock(run: Run, spacing: float, where: str) -> None:
    """Raise DynmatchError where frames are missing or repeated by the file's own time steps or
    times, or these contradict the config."""
    if run.steps is not None:
        for number, (before, after) in enumerate(pairwise(run.steps.tolist())):
            if after - before != run.steps[1] - run.steps[0]:
                raise DynmatchError(
                    f"{run.path}: frames are missing or repeated after TIMESTEP {before} (frame "
                    f"{number}), which {after} follows; leave out what is double, or give the "
                    "parts as files of their own"
                )
    if run.time is not None:
        _check_times(run.path, run.time, spacing, where)


def _check_times(path: Path, time: np.ndarray, spacing: float, where: str) -> None:
    """Raise DynmatchError where the file's own times are uneven or contradict the config."""
    if not np.isfinite(time).all():
        raise DynmatchError(
            f"{path}: the time of frame {np.argmin(np.isfinite(time))} is no number"
        )
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
