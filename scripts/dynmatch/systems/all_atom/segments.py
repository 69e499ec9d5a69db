"""Stretches of an all-atom trajectory, one file each, from which a killed run continues.

A segment ends with the state that the next one starts from, and both are in one file, written
atomically: whatever happens, trajectory and checkpoint agree. Every array carries a checksum
(HDF5's Fletcher-32), so that a damaged file is noticed when it is read.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tables

from dynmatch.errors import DynmatchError
from dynmatch.storage.hdf5 import refuse_pickles, replacing_hdf5
from dynmatch.storage.resumable import sound_parts

refuse_pickles()

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segment:
    """F frames of n particles, and E energies.

    positions     (F, n, 3) nm, float32, not wrapped into the box
    velocities    (F, n, 3) nm/ps, float32
    energy_frames (E,) the frames at which energies were taken
    potential     (E,) potential energy, kJ/mol
    conserved     (E,) energy of particles and thermostat together, kJ/mol
    end_state     OpenMM state (XML) at the last frame, in double precision
    """

    positions: np.ndarray
    velocities: np.ndarray
    energy_frames: np.ndarray
    potential: np.ndarray
    conserved: np.ndarray
    end_state: str


_UNITS = {
    "positions": "nanometers",
    "velocities": "nanometers/picosecond",
    "energy_frames": "1",
    "potential": "kilojoules_per_mole",
    "conserved": "kilojoules_per_mole",
}


def write_segment(path: Path, segment: Segment, fingerprint: str) -> None:
    """Write `segment` atomically; `fingerprint` stands for the simulation that it belongs to."""
    checked = tables.Filters(fletcher32=True)
    with replacing_hdf5(path) as temporary, tables.open_file(str(temporary), "w") as file:
        for name, units in _UNITS.items():
            array = file.create_carray("/", name, obj=getattr(segment, name), filters=checked)
            array.attrs["units"] = units
        state = np.frombuffer(segment.end_state.encode(), np.uint8)
        file.create_carray("/", "end_state", obj=state, filters=checked)
        file.root._v_attrs["fingerprint"] = fingerprint


def read_segment(path: Path, fingerprint: str) -> Segment:
    """Read a segment and verify its checksums.

    Raises DynmatchError when the file is missing, damaged or of another simulation.
    """
    try:
        with tables.open_file(str(path)) as file:
            written = file.root._v_attrs["fingerprint"]
            arrays = {name: file.get_node("/", name).read() for name in _UNITS}
            end_state = file.root.end_state.read().tobytes().decode()
    except (OSError, tables.HDF5ExtError, tables.NoSuchNodeError, KeyError, ValueError) as error:
        raise DynmatchError(
            f"{path}: missing, truncated or damaged: {str(error).strip().splitlines()[-1]}"
        ) from error
    if written != fingerprint:
        raise DynmatchError(f"{path}: of a simulation with other settings")
    return Segment(**arrays, end_state=end_state)


def count_good(paths: Sequence[Path], fingerprint: str) -> int:
    """How many segments, from the first on, are there, whole, and of this simulation.

    The first that exists but cannot be used is named in a warning.
    """

    def read(path):
        try:
            return read_segment(path, fingerprint)
        except DynmatchError as error:
            logger.warning("%s; simulating again from this segment on", error)
            return None

    return sum(1 for _ in sound_parts(paths, read))
