"""Trajectories of coarse-grained sites, in memory and as MDTraj HDF5 files.

One file may hold several independent replicas: they follow each other, and the time restarts at the
first frame of each. MDTraj, MDAnalysis and VMD open the file as it is; what MDTraj's layout lacks
(forces, site masses, a triclinic box in double precision, the factors by which frames at constant
pressure were scaled to one box) lies beside it in arrays of its own (`site_forces`, `site_masses`,
`site_box`, `site_scale`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import mdtraj
import numpy as np
import tables

from dynmatch.errors import DynmatchError, told
from dynmatch.sites.box import is_rectangular, lengths_and_angles, matrix, reduced
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage import memmap
from dynmatch.storage.hdf5 import refuse_pickles, replacing_hdf5

refuse_pickles()


@dataclass(frozen=True)
class SiteTrajectory:
    """Positions of N sites in F frames.

    positions  (F, N, 3) nm, unwrapped
    time       (F,) ps, evenly spaced within a replica, restarting at each replica's first frame
    masses     (N,) amu
    topology   of the N sites
    box        nm, edges (3,) of the rectangular periodic box or vectors (3, 3) of a triclinic one
               (`sites.box`), or None where there is none
    velocities (F, N, 3) nm/ps, or None
    forces     (F, N, 3) kJ/mol/nm, or None
    scale      (F,) factor by which lengths of a frame were scaled to `box`, or None where it did
               not change
    """

    positions: np.ndarray
    time: np.ndarray
    masses: np.ndarray
    topology: SiteTopology
    box: np.ndarray | None = None
    velocities: np.ndarray | None = None
    forces: np.ndarray | None = None
    scale: np.ndarray | None = None

    @property
    def n_frames(self) -> int:
        return self.positions.shape[0]

    @property
    def n_sites(self) -> int:
        return self.positions.shape[1]

    @property
    def frame_spacing(self) -> float:
        """Time between successive frames, ps."""
        return float(self.time[1] - self.time[0])

    def frames(self, index: slice | np.ndarray) -> "SiteTrajectory":
        """The trajectory restricted to some frames."""

        def some(array):
            if array is None:
                return None
            return array[index] if isinstance(index, slice) else memmap.take(array, index)

        return replace(
            self,
            positions=some(self.positions),
            time=self.time[index],
            velocities=some(self.velocities),
            forces=some(self.forces),
            scale=None if self.scale is None else self.scale[index],
        )

    def repeated(self, copies: int) -> "SiteTrajectory":
        """The positions, `copies` times along each vector of the box, one box after the other.

        Raises DynmatchError where there is no box.
        """
        if self.box is None:
            raise DynmatchError("copies: sites without a periodic box cannot be repeated")
        cells = np.stack(np.unravel_index(np.arange(copies**3), (copies,) * 3), 1)
        shifts = (cells @ matrix(self.box)).astype(self.positions.dtype)
        return SiteTrajectory(
            positions=np.concatenate([self.positions + shift for shift in shifts], 1),
            time=self.time,
            masses=np.tile(self.masses, len(cells)),
            topology=self.topology.repeated(len(cells)),
            box=copies * np.asarray(self.box),
        )

    def replicas(self) -> "list[SiteTrajectory]":
        """The independent runs in this trajectory, split where the time restarts."""
        starts = np.flatnonzero(np.diff(self.time) <= 0) + 1
        edges = [0, *starts.tolist(), self.n_frames]
        return [self.frames(slice(a, b)) for a, b in pairwise(edges)]


def write(path: str | Path, trajectory: SiteTrajectory) -> None:
    """Write `trajectory` atomically in MDTraj's HDF5 layout (nm, ps; kJ/mol/nm for site_forces).

    Every array carries a checksum: MDTraj's that of zlib, the others HDF5's Fletcher-32.
    """
    with replacing_hdf5(path) as temporary:
        with mdtraj.formats.HDF5TrajectoryFile(str(temporary), "w") as file:
            file.topology = trajectory.topology.to_mdtraj()
            step = memmap.rows_at_once(trajectory.positions.shape, trajectory.positions.dtype)
            for first in range(0, trajectory.n_frames, step):
                _write_frames(file, trajectory.frames(slice(first, first + step)))
                for array in (trajectory.positions, trajectory.velocities):
                    memmap.release(array)
        with tables.open_file(str(temporary), "a") as file:
            _add_array(file, "site_masses", np.asarray(trajectory.masses, np.float64), "amu")
            if not is_rectangular(trajectory.box):
                _add_array(file, "site_box", np.asarray(trajectory.box, np.float64), "nanometers")
            if trajectory.scale is not None:
                _add_array(file, "site_scale", np.asarray(trajectory.scale, np.float64), "1")
            if trajectory.forces is not None:
                forces = trajectory.forces.astype(np.float32, copy=False)
                _add_array(file, "site_forces", forces, "kilojoules_per_mole/nanometer")


def _write_frames(file: mdtraj.formats.HDF5TrajectoryFile, some: SiteTrajectory) -> None:
    more = {}
    if some.box is not None:
        lengths, angles = lengths_and_angles(some.box)
        more["cell_lengths"] = np.tile(np.asarray(lengths, np.float32), (some.n_frames, 1))
        more["cell_angles"] = np.tile(np.asarray(angles, np.float32), (some.n_frames, 1))
    if some.velocities is not None:
        more["velocities"] = some.velocities.astype(np.float32, copy=False)
    file.write(
        coordinates=some.positions.astype(np.float32, copy=False),
        time=some.time.astype(np.float32),
        **more,
    )


def _add_array(file: tables.File, name: str, array: np.ndarray, units: str) -> None:
    node = file.create_carray("/", name, obj=array, filters=tables.Filters(fletcher32=True))
    node.attrs["units"] = units


def read(path: str | Path, *, velocities: bool = True, forces: bool = True) -> SiteTrajectory:
    """Read a trajectory written by `write`; what is not asked for is left on disk.

    Arrays that are large (`mapped`) do not stay in memory.

    Raises DynmatchError, naming the file, when it is missing, truncated or not of this layout, and
    for what makes no sense: numbers that are not finite, masses and boxes that are not positive,
    shapes that differ, times that do not go on.
    """
    try:
        with mdtraj.formats.HDF5TrajectoryFile(str(path)) as file:
            topology = SiteTopology.from_mdtraj(file.topology)
        with tables.open_file(str(path)) as file:

            def array(name):
                return _values(path, file.get_node("/", name)) if name in file.root else None

            positions = _values(path, file.root.coordinates)
            time = file.root.time.read().astype(np.float64)
            masses = file.root.site_masses.read()
            cells = {name: array(name) for name in ("cell_lengths", "cell_angles", "site_box")}
            scale = array("site_scale")
            v = array("velocities") if velocities else None
            f = array("site_forces") if forces else None
    except (
        OSError,
        tables.HDF5ExtError,
        tables.NoSuchNodeError,
        AttributeError,
        KeyError,
    ) as error:
        raise DynmatchError(
            f"{path}: cannot be read as a site trajectory (missing, truncated or of another "
            f"layout): {told(error)}; delete it and run the rule that makes it again"
        ) from error
    box = _box(path, len(positions), **cells)
    made = SiteTrajectory(positions, time, masses, topology, box, v, f, scale)
    for problem in _problems(made):
        raise DynmatchError(f"{path}: {problem}")
    return replace(made, time=_even_times(time))


def _box(
    path: str | Path,
    frames: int,
    cell_lengths: np.ndarray | None,
    cell_angles: np.ndarray | None,
    site_box: np.ndarray | None,
) -> np.ndarray | None:
    """The box of all frames. Raises DynmatchError where they have several, or where lengths, angles
    and vectors contradict each other."""
    for name, values in (("cell_lengths", cell_lengths), ("cell_angles", cell_angles)):
        if values is not None and values.shape != (frames, 3):
            raise DynmatchError(f"{path}: {name} have the shape {values.shape} for {frames} frames")
        if values is not None and frames and (values != values[0]).any():
            changed = int(np.argmax((values != values[0]).any(1)))
            raise DynmatchError(f"{path}: {name} change at frame {changed}, and sites have one box")
    if cell_lengths is None or not frames:
        return site_box
    box = np.asarray(cell_lengths[0] if site_box is None else site_box, np.float64)
    if _is_box(box):
        lengths, angles = lengths_and_angles(box)
        found = {"cell_lengths": (cell_lengths, lengths), "cell_angles": (cell_angles, angles)}
        for name, (values, expected) in found.items():
            if values is not None and not np.allclose(values[0], expected, rtol=1e-4):
                of = "cell_lengths alone" if site_box is None else "site_box"
                raise DynmatchError(
                    f"{path}: {name} are {values[0].tolist()}, but {expected.tolist()} by {of}"
                )
    return box


def _problems(trajectory: SiteTrajectory) -> Iterator[str]:
    """What makes no sense in a trajectory, each in words that name the dataset."""
    frames, sites, time = trajectory.n_frames, trajectory.n_sites, trajectory.time
    shape = trajectory.positions.shape
    if shape != (frames, trajectory.topology.n_sites, 3):
        yield f"coordinates have the shape {shape} for {trajectory.topology.n_sites} sites"
    if time.shape != (frames,) or not np.isfinite(time).all():
        yield f"time is not a finite number for each of the {frames} frames"
    elif (np.diff(time) == 0).any():
        yield f"time does not go on after frame {int(np.argmin(np.diff(time) != 0))}"
    elif len(uneven := _uneven(time)):
        yield f"time is uneven after frame {uneven[0]}: frames are missing, or in another order"
    scale = trajectory.scale
    if scale is not None and not (scale.shape == (frames,) and (scale > 0).all()):
        yield f"site_scale is not a positive number for each of the {frames} frames"
    masses = trajectory.masses
    if masses.shape != (sites,) or not (np.isfinite(masses) & (masses > 0)).all():
        yield f"site_masses are not a positive number for each of the {sites} sites"
    if trajectory.box is not None and not _is_box(trajectory.box):
        yield f"its box (cell_lengths, site_box) {trajectory.box.tolist()} nm is no box"
    arrays = {"velocities": trajectory.velocities, "site_forces": trajectory.forces}
    for name, array in arrays.items():
        if array is not None and array.shape != shape:
            yield f"{name} have the shape {array.shape}, and coordinates {shape}"
        elif array is not None and np.array_equal(array[:2], trajectory.positions[:2]):
            yield f"{name} are the coordinates once more"


def _is_box(box: np.ndarray) -> bool:
    if box.shape not in ((3,), (3, 3)) or not np.isfinite(box).all():
        return False
    try:
        return bool((np.diagonal(matrix(reduced(box))) > 0).all())
    except DynmatchError:
        return False


def _values(path: str | Path, node: tables.Array) -> np.ndarray:
    """All of a dataset. Raises DynmatchError for the first frame that is no finite number."""
    values = memmap.empty(node.shape, node.dtype)
    step = memmap.rows_at_once(node.shape, node.dtype)
    for start in range(0, len(values), step):
        some = values[start : start + step] = node.read(start, start + step)
        if not np.isfinite(some).all():
            bad = np.flatnonzero(~np.isfinite(some.reshape(len(some), -1)).all(1))[0]
            raise DynmatchError(
                f"{path}: {node.name} of frame {start + bad} are not finite numbers"
            )
    return values


def _uneven(time: np.ndarray) -> np.ndarray:
    """Frames after which the time goes on by another step than after the first; it may go back,
    where a replica begins."""
    steps = np.diff(time)
    if not len(steps):
        return steps
    # times are kept in single precision
    tolerance = 0.01 * steps[0] + 4 * np.spacing(np.float32(np.abs(time).max()))
    return np.flatnonzero((np.abs(steps - steps[0]) > tolerance) & (steps > 0) | (steps[0] < 0))


def _even_times(time: np.ndarray) -> np.ndarray:
    """Undo the single precision of MDTraj's time column: multiples of one spacing, ps."""
    if len(time) < 2:
        return time
    spacing = float(f"{time[1] - time[0]:.6g}")
    return np.round(time / spacing) * spacing
