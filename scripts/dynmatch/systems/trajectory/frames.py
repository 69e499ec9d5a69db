"""A user's trajectory files, some frames at a time, in nm and ps whatever their format."""

import re
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gsd.hoomd
import MDAnalysis.coordinates.core
import mdtraj
import numpy as np
from MDAnalysis.lib.formats.libdcd import DCDFile
from MDAnalysis.lib.formats.libmdaxdr import TRRFile
from scipy.io import netcdf_file

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import ROUNDING, vectors_of
from dynmatch.storage import memmap
from dynmatch.systems.trajectory.atoms import Atoms, first_line
from dynmatch.systems.trajectory.formats import ARRAYS, suffix, trajectory_format

# MDTraj warns that another library would read NetCDF faster
warnings.filterwarnings("ignore", ".*netCDF4")

AT_ONCE = 2_000_000
"""Atoms, over all frames, in memory at a time."""
MOST_FRAMES = 500
"""Frames in memory at a time."""
WITHOUT_TIMES = (".pdb", ".binpos", ".mdcrd", ".crd", ".arc")
"""Suffixes of formats whose frames carry no time and that MDTraj counts from 0."""
ANGSTROM = 0.1
"""nm"""
LAMMPS_UNITS = {"real": (100.0, 41.84), "metal": (0.1, 964.8533212)}
"""Velocities in nm/ps and forces in kJ/mol/nm of LAMMPS's units: angstrom/fs and kcal/mol/angstrom,
angstrom/ps and eV/angstrom."""
NO_BOX = 1e4
"""Edge of the box that stands for none while files are read, nm: nothing is as large."""
DEGREES = (30.0, 150.0)
"""Angles of a box in a DCD file, where it has angles in degrees."""


@dataclass(frozen=True)
class Frames:
    """Some successive frames of a file.

    positions  (F, n, 3) nm
    vectors    (F, 3, 3) nm, of the box, the first along x and the second in the xy plane; None
               where the file has none
    time       (F,) ps; None where the file has none
    steps      (F,) number of the simulation's time step; None where the file has none
    velocities (F, n, 3) nm/ps; None where not every frame has them
    forces     (F, n, 3) kJ/mol/nm, likewise
    """

    positions: np.ndarray
    vectors: np.ndarray | None = None
    time: np.ndarray | None = None
    steps: np.ndarray | None = None
    velocities: np.ndarray | None = None
    forces: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Reading:
    """What a config's reference says on how its files are read.

    periodic      whether the system is; if not, boxes in the files are not looked at
    edges         (3,) nm, of the box, for files that have none
    lammps_units  of the velocities and forces in LAMMPS's dumps: "real" or "metal"
    where         the section of the config that messages name
    """

    periodic: bool = True
    edges: Sequence[float] = ()
    lammps_units: str = "real"
    where: str = "reference"


def boxed_frames(path: str | Path, atoms: Atoms, reading: Reading) -> Iterator[Frames]:
    """`frames_of`, each with the vectors of its box: that of the file, the one that is given, or
    one in which nothing is near its image where the system is not periodic.

    Raises DynmatchError, naming the key, where there is none, or one too many.
    """
    where = reading.where
    for some in frames_of(path, atoms, reading.lammps_units):
        vectors = some.vectors
        if not reading.periodic:
            vectors = np.tile(NO_BOX * np.eye(3), (len(some), 1, 1))
        elif len(reading.edges):
            if vectors is not None:
                raise DynmatchError(
                    f"{where}.edges: {path} has boxes of its own; leave the key out"
                )
            vectors = np.tile(np.diag(np.asarray(reading.edges, np.float64)), (len(some), 1, 1))
        elif vectors is None:
            raise DynmatchError(
                f"{path}: has no box; give its edges, nm, as {where}.edges, write the trajectory "
                f"in a format that keeps it (XTC, TRR, DCD, NetCDF, HDF5), or set {where}.periodic "
                "to false for a system without"
            )
        yield replace(some, vectors=vectors)


def frames_of(path: str | Path, atoms: Atoms, lammps_units: str = "real") -> Iterator[Frames]:
    """All frames of a file, of these atoms; `lammps_units` as in `Reading`.

    Raises DynmatchError, naming the file, where it cannot be read or is of another number of atoms.
    """
    count, done = atoms.topology.n_atoms, 0
    try:
        for some in _reader(path, atoms.topology, lammps_units):
            if some.positions.shape[1:] != (count, 3):
                raise DynmatchError(_disagreement(path, atoms, some.positions.shape[1]))
            _check_boxes(path, some.vectors, done)
            done += len(some)
            yield some
    except DynmatchError:
        raise
    except Exception as error:  # each format's reader raises other classes
        shape = re.search(r"xyz must be shape .* \(\d+, (\d+), 3\)", str(error))
        if shape:
            raise DynmatchError(_disagreement(path, atoms, int(shape[1]))) from error
        raise DynmatchError(
            f"{path}: cannot be read as a trajectory: {first_line(error)}"
        ) from error


def _check_boxes(path: str | Path, vectors: np.ndarray | None, done: int) -> None:
    if vectors is None:
        return
    edges = np.diagonal(vectors, axis1=1, axis2=2)
    good = np.isfinite(vectors).all((1, 2)) & (edges > 0).all(1)
    if not good.all():
        bad = int(np.argmin(good))
        raise DynmatchError(
            f"{path}: the box of frame {done + bad} has vectors "
            f"{vectors[bad].round(4).tolist()} nm, which no box has"
        )
    upper = np.abs(vectors[:, [0, 0, 1], [1, 2, 2]]).max(-1) > ROUNDING * edges.max(-1)
    if upper.any():
        raise DynmatchError(
            f"{path}: the first vector of the box of frame {done + np.argmax(upper)} is not along "
            "x, or its second not in the xy plane; turn positions and box so that they are"
        )


def _disagreement(path: str | Path, atoms: Atoms, here: int) -> str:
    return (
        f"{path}: has {here} atoms, not the {atoms.topology.n_atoms} of the topology "
        f"{atoms.files}; give the topology that this trajectory was written with"
    )


def _reader(path, topology: mdtraj.Topology, lammps_units: str) -> Iterator[Frames]:
    if suffix(path) in ARRAYS:
        return _arrays(path)
    match trajectory_format(path):
        case None:
            return _by_mdtraj(path, topology)
        case "TRR":
            return _trr(path)
        case "DCD":
            return _dcd(path)
        case "GSD":
            return _gsd(path)
        case "NCDF":
            held = _netcdf_variables(path)
            timed = "time" in held
            if held & {"velocities", "forces"}:
                return _by_mdanalysis(path, "NCDF", topology.n_atoms, lammps_units, timed)
            # MDAnalysis wants attributes that not every program writes
            return _by_mdtraj(path, topology, timed)
        case form:
            return _by_mdanalysis(path, form, topology.n_atoms, lammps_units, form == "H5MD")


def _at_once(atoms: int) -> int:
    return max(1, min(MOST_FRAMES, AT_ONCE // max(1, atoms)))


def _by_mdtraj(path: str | Path, topology: mdtraj.Topology, timed: bool = True) -> Iterator[Frames]:
    timed = timed and suffix(path) not in WITHOUT_TIMES
    for some in mdtraj.iterload(str(path), chunk=_at_once(topology.n_atoms), top=topology):
        lengths, angles = some.unitcell_lengths, some.unitcell_angles
        boxed = lengths is not None and lengths.any()
        yield Frames(
            some.xyz,
            vectors=_vectors(path, lengths, angles) if boxed else None,
            time=some.time.astype(np.float64) if timed else None,
        )


def _trr(path: str | Path) -> Iterator[Frames]:
    """GROMACS's own units are nm, ps and kJ/mol/nm. A frame may lack velocities, forces or even
    positions, where these are written at other intervals."""
    with TRRFile(str(path)) as file:
        some: list = []
        for frame in file:
            if not frame.hasx:
                continue
            some.append(frame)
            if len(some) == _at_once(len(frame.x)):
                yield _of_trr(some)
                some = []
        if some:
            yield _of_trr(some)


def _of_trr(frames: list) -> Frames:
    vectors = np.array([frame.box for frame in frames], np.float64)
    return Frames(
        np.array([frame.x for frame in frames]),
        vectors=vectors if vectors.any() else None,
        time=np.array([frame.time for frame in frames], np.float64),
        velocities=np.array([f.v for f in frames]) if all(f.hasv for f in frames) else None,
        forces=np.array([f.f for f in frames]) if all(f.hasf for f in frames) else None,
    )


def _dcd(path: str | Path) -> Iterator[Frames]:
    with DCDFile(str(path)) as file:
        count, done = len(file), 0
        step = _at_once(file.header["natoms"])
        while done < count:
            some = file.readframes(done, min(done + step, count))
            done += len(some.xyz)
            positions = ANGSTROM * some.xyz
            if not file.header["is_periodic"] or not some.unitcell.any():
                yield Frames(positions)
                continue
            vectors, turn = _dcd_box(path, some.unitcell)
            if turn is not None:
                positions = (positions @ turn).astype(np.float32)
            yield Frames(positions, vectors=vectors)


def _dcd_box(path: str | Path, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Vectors (F, 3, 3), nm, of the six numbers (F, 6) a frame, and the rotations (F, 3, 3) that
    positions need, if any.

    They are lengths with the cosines of the angles (NAMD, LAMMPS, OpenMM) or the angles themselves
    between them; or, as CHARMM has it, a symmetric matrix, whose first vector is not along x.
    """
    first, second, third, middle = cell[:, 0], cell[:, 2], cell[:, 5], cell[:, [4, 3, 1]]
    lengths = ANGSTROM * np.stack([first, second, third], 1)
    if (np.abs(middle) <= 1).all():
        return _vectors(path, lengths, np.degrees(np.arccos(middle))), None
    if ((middle >= DEGREES[0]) & (middle <= DEGREES[1])).all():
        return _vectors(path, lengths, middle), None
    matrix = ANGSTROM * cell[:, [[0, 1, 3], [1, 2, 4], [3, 4, 5]]]
    turn, upper = np.linalg.qr(matrix.transpose(0, 2, 1))
    sign = np.sign(np.diagonal(upper, axis1=1, axis2=2))
    return np.tril(upper.transpose(0, 2, 1) * sign[:, None]), turn * sign[:, None]


def _gsd(path: str | Path) -> Iterator[Frames]:
    """HOOMD's boxes are edges and tilts, which MDAnalysis takes for cosines. It has no units:
    lengths are taken for angstrom."""
    with gsd.hoomd.open(str(path), "r") as file:
        step = _at_once(file[0].particles.N if len(file) else 1)
        for first in range(0, len(file), step):
            frames = [file[n] for n in range(first, min(first + step, len(file)))]
            x, y, z, xy, xz, yz = np.array([f.configuration.box for f in frames], np.float64).T
            nothing = np.zeros(len(frames))
            rows = [[x, nothing, nothing], [xy * y, y, nothing], [xz * z, yz * z, z]]
            vectors = ANGSTROM * np.moveaxis(np.array(rows), 2, 0)
            yield Frames(
                ANGSTROM * np.array([f.particles.position for f in frames]),
                vectors=vectors if vectors.any() else None,
                steps=np.array([f.configuration.step for f in frames]),
            )


def _by_mdanalysis(
    path: str | Path, form: str, atoms: int, lammps_units: str, timed: bool
) -> Iterator[Frames]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # files of AMBER in plain text do not say how many atoms they are of
        known = {"n_atoms": atoms} if form == "TRJ" else {}
        reader = MDAnalysis.coordinates.core.reader(str(path), format=form, **known)
        dump = form == "LAMMPSDUMP"
        # MDAnalysis leaves the units of dumps as they are; else angstrom/ps and kJ/mol/angstrom
        speed, force = LAMMPS_UNITS[lammps_units] if dump else (ANGSTROM, 1 / ANGSTROM)
        step = _at_once(reader.n_atoms)
        with reader:
            for first in range(0, reader.n_frames, step):
                frames = [ts.copy() for ts in reader[first : first + step]]
                yield Frames(
                    ANGSTROM * np.array([ts.positions for ts in frames]),
                    vectors=_boxes_of(path, frames),
                    time=np.array([ts.time for ts in frames]) if timed else None,
                    steps=np.array([ts.data["step"] for ts in frames]) if dump else None,
                    velocities=_all(frames, "velocities", speed),
                    forces=_all(frames, "forces", force),
                )


def _all(frames: list, name: str, unit: float) -> np.ndarray | None:
    if not all(getattr(ts, f"has_{name}") for ts in frames):
        return None
    return unit * np.array([getattr(ts, name) for ts in frames])


def _boxes_of(path: str | Path, frames: list) -> np.ndarray | None:
    boxes = [ts.dimensions for ts in frames]
    if any(box is None or not np.any(box) for box in boxes):
        return None
    boxes = np.array(boxes)
    return _vectors(path, ANGSTROM * boxes[:, :3], boxes[:, 3:])


def _netcdf_variables(path: str | Path) -> set[str]:
    # not mapped, all frames would be read for it
    with netcdf_file(path, mmap=True) as file:
        return set(file.variables)


def _arrays(path: str | Path) -> Iterator[Frames]:
    """NumPy's files: positions alone, or arrays by the names of `Frames`, with `box` for vectors.

    positions (F, n, 3), nm; box (3,), (3, 3), (F, 3) or (F, 3, 3), nm; time (F,), ps; velocities
    and forces (F, n, 3), nm/ps and kJ/mol/nm.
    """
    held = _members(path) if suffix(path) == ".npz" else {"positions": np.load(path, "r")}
    known = {"positions", "box", "time", "velocities", "forces"}
    if "positions" not in held or held.keys() - known:
        raise DynmatchError(
            f"{path}: has arrays {', '.join(sorted(held))}; it needs positions, and may have box, "
            "time, velocities and forces"
        )
    positions = held["positions"]
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise DynmatchError(
            f"{path}: positions have the shape {positions.shape}, not (frames, atoms, 3)"
        )
    for name in ("velocities", "forces"):
        if held.get(name, positions).shape != positions.shape:
            raise DynmatchError(f"{path}: {name} have another shape than positions")
    vectors = _box_array(path, held["box"], len(positions)) if "box" in held else None
    step = _at_once(positions.shape[1])
    for first in range(0, len(positions), step):
        some = slice(first, first + step)
        parts = {k: np.array(held[k][some]) for k in held if k != "box"}
        for array in held.values():
            memmap.release(array)
        yield Frames(vectors=None if vectors is None else vectors[some], **parts)


def _members(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, unpacked on disk (TMPDIR): they may be larger than the memory."""
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            with tempfile.NamedTemporaryFile(suffix=".npy") as copy:
                with archive.open(entry) as packed:
                    shutil.copyfileobj(packed, copy)
                copy.flush()
                # what is mapped stays when its name is gone
                found[entry.filename.removesuffix(".npy")] = np.load(copy.name, "r")
    return found


def _box_array(path: str | Path, box: np.ndarray, frames: int) -> np.ndarray:
    if box.shape in ((3,), (frames, 3)) and box.shape != (3, 3):
        box = box[..., None] * np.eye(3)
    if box.shape not in ((3, 3), (frames, 3, 3)):
        raise DynmatchError(
            f"{path}: box has the shape {box.shape}; it needs edges (3,), vectors (3, 3), or "
            "either for each frame"
        )
    return np.broadcast_to(box, (frames, 3, 3)).astype(np.float64)


def _vectors(path: str | Path, lengths: np.ndarray, angles: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        vectors = vectors_of(lengths, angles)
    if not np.isfinite(vectors[np.isfinite(lengths).all(-1)]).all():
        raise DynmatchError(
            f"{path}: its box has angles of {angles[0]} degrees and edges of {lengths[0]} nm, "
            "which no box has"
        )
    return vectors
