"""A user's trajectory files as runs of sites: atoms projected, parts of a run joined."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import minimum_image, reduced
from dynmatch.sites.mapping import Site, weights_of
from dynmatch.sites.projection import (
    apply_mapping,
    generations,
    make_whole,
    put_next_to,
    unwrap,
)
from dynmatch.sites.topology import SiteTopology, parts_of
from dynmatch.storage import memmap
from dynmatch.systems.trajectory import checks, npt
from dynmatch.systems.trajectory.atoms import Atoms
from dynmatch.systems.trajectory.frames import Frames

logger = logging.getLogger(__name__)

JUMP = 4.0
"""Largest root mean square step from one file into the next that continues it, over that of the
first within."""


@dataclass(frozen=True)
class Run:
    """What one file holds, projected.

    positions  (F, N, 3) nm, in any image, scaled to the box `cell`
    cell       (3, 3) nm, box of the file's first frame
    vectors    (F, 3, 3) nm, box of each frame
    time       (F,) ps of the file, or None
    steps      (F,) of the simulation, or None
    velocities (F, N, 3) nm/ps, or None
    forces     (F, N, 3) kJ/mol/nm, or None
    """

    path: Path
    positions: np.ndarray
    cell: np.ndarray
    vectors: np.ndarray
    time: np.ndarray | None
    steps: np.ndarray | None
    velocities: np.ndarray | None
    forces: np.ndarray | None


def read_run(
    path: Path,
    frames: Iterator[Frames],
    atoms: Atoms,
    sites: Sequence[Site],
    molecule: np.ndarray,
    where: str,
) -> Run:
    """One file, projected, from its `frames`, all of which have a box; `molecule` (n,) is the
    number of each atom's, `where` the section of the config that messages name.

    Raises DynmatchError, naming the file, for what `checks` finds in it.
    """
    groups, bonds = [site.atoms for site in sites], atoms.bonds
    matrix = weights_of(sites, len(atoms.masses))
    order, loose = generations(groups, bonds), _without_bonds(groups, bonds, len(atoms.masses))
    kept = _Kept(matrix)
    box, first, last, done = None, None, None, 0
    with tqdm(desc=path.name, unit=" frames", mininterval=1) as bar:
        for some in frames:
            checks.refuse_not_finite(path, some, done)
            if box is None:
                first, box = some.vectors[0], reduced(some.vectors[0])
                checks.check_lengths(some.positions[0].astype(np.float64), box, bonds, path)
                checks.check_bonded(path, some.positions, box, atoms.topology, molecule, where)
            checks.refuse_repeated(path, some.positions, last, done)
            done, last = done + len(some), some.positions[-1]
            x = npt.scaled(some.positions.astype(np.float64), some.vectors, first)
            whole = put_next_to(x, order, box)
            checks.refuse_long(path, whole, [sites[k] for k in loose], box)
            kept.add(some, whole)
            bar.update(len(some))
    if not done:
        raise DynmatchError(f"{path}: holds no frames")
    return kept.run(path, first)


def _without_bonds(
    groups: Sequence[np.ndarray], bonds: Sequence[tuple[int, int]], count: int
) -> list[int]:
    """Groups, of `count` atoms in all, that bonds between their own atoms do not hold together."""
    owner = np.full(count, -1)
    for number, group in enumerate(groups):
        owner[group] = number
    part = parts_of(count, [(i, j) for i, j in bonds if owner[i] == owner[j]])
    return [k for k, group in enumerate(groups) if len(set(part[group].tolist())) > 1]


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

    def run(self, path: Path, cell: np.ndarray) -> Run:
        found = {
            name: into.array()
            if isinstance(into, memmap.Growing)
            else into and np.concatenate(into)
            for name, into in self.parts.items()
        }
        return Run(path, cell=cell, **found)


def join(runs: Sequence[Run]) -> list[list[Run]]:
    """The parts of each run: files that continue one another, by time or time step, and with the
    sites where they were left. A first frame that repeats the last one is left out."""
    made: list[list[Run]] = []
    for run in runs:
        skipped = _continued(made[-1], run) if made else None
        if skipped is None:
            made.append([run])
        else:
            logger.info("%s continues %s", run.path, made[-1][-1].path)
            made[-1].append(_without_first(run, skipped))
    return made


def _continued(parts: Sequence[Run], after: Run) -> int | None:
    """Number of the frames of `after` that the run of these `parts` has already, where it continues
    that; else None."""
    first, last = parts[0], parts[-1]
    timed = first.time is not None
    begun, ended, then = (run.time if timed else run.steps for run in (first, last, after))
    if begun is None or then is None or len(begun) < 2 or begun[1] <= begun[0]:
        return None
    gap = (then[0] - ended[-1]) / (begun[1] - begun[0])
    if min(abs(gap), abs(gap - 1)) > 0.02:
        return None
    start = npt.scaled(after.positions[0].astype(np.float64), after.cell, last.cell)
    jumped = minimum_image(start - last.positions[-1], reduced(last.cell))
    step = first.positions[1].astype(np.float64) - first.positions[0]
    moved = minimum_image(step, reduced(first.cell))
    if np.mean(jumped**2) > JUMP**2 * np.mean(moved**2):
        return None
    return int(round(gap) == 0)


def _without_first(run: Run, count: int) -> Run:
    names = ("positions", "vectors", "time", "steps", "velocities", "forces")
    arrays = {name: getattr(run, name) for name in names}
    return replace(run, **{k: a if a is None else a[count:] for k, a in arrays.items()})


def unwrapped(
    runs: Sequence[Sequence[Run]],
    vectors: np.ndarray | None,
    box: np.ndarray,
    topology: SiteTopology,
) -> np.ndarray:
    """(F, N, 3) nm: positions of all runs, part by part, scaled to the box of these `vectors`
    (3, 3), if any, and followed through the faces of `box`. Sites of a molecule begin next to each
    other."""
    count = sum(len(part.positions) for parts in runs for part in parts)
    shape = (count, topology.n_sites, 3)
    found = memmap.empty(shape, np.dtype(np.float32))
    step, done = memmap.rows_at_once(shape, np.dtype(np.float64)), 0
    for parts in runs:
        last = None
        for part in parts:
            for first in range(0, len(part.positions), step):
                x = part.positions[first : first + step].astype(np.float64)
                if vectors is not None:
                    x = npt.scaled(x, part.cell, vectors)
                if last is None:
                    last = make_whole(x[:1], topology.molecules, box, topology.bonds)[0]
                x = unwrap(x, last, box)
                last = x[-1]
                found[done : done + len(x)] = x
                done += len(x)
                memmap.release(found)
                memmap.release(part.positions)
    return found
