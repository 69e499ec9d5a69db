"""Trajectories that were generated with one fault each: refused in a line that names the file or
the key, or the same numbers as without."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynmatch.errors import DynmatchError
from tests.helpers.generated import lenient
from tests.systems.test_own_trajectory import FRAMES, MOLECULES, project, trajectory

pytestmark = pytest.mark.usefixtures("little_memory")

ATOMS = 4 * MOLECULES
NUMBERS = itertools.count()
"""Files have names of their own: HDF5 keeps one open that was refused."""
LENIENT = lenient(40)
"""The number in docs/reliability.md is of a run with 300."""


def coordinate(frames, frame, value):
    frames.xyz[frame, frame % ATOMS, 1] = value


def edge(frames, frame, value):
    lengths = frames.unitcell_lengths.copy()
    lengths[frame, 2] = value
    frames.unitcell_lengths = lengths


def time(frames, frame, value):
    frames.time = np.where(np.arange(FRAMES) == frame, value, frames.time)


def later(frames, frame, value):
    frames.time = np.where(np.arange(FRAMES) >= max(frame, 1), frames.time + 5.0, frames.time)


def repeated(frames, frame, value):
    frames.xyz[frame] = frames.xyz[frame - 1 if frame else 1]


def units(frames, frame, value):
    frames.xyz *= 10
    frames.unitcell_lengths = 10 * frames.unitcell_lengths


FAULTS = {
    "coordinate": (coordinate, [np.nan, np.inf, -np.inf]),
    "edge": (edge, [0.0, np.nan]),
    "time": (time, [np.nan, -3.0, 1e9, np.inf]),
    "later": (later, [0.0]),
    "repeated": (repeated, [0.0]),
    "units": (units, [0.0]),
}
FORMATS = ("h5", "nc", "trr", "npz")
"""Of those that keep times, all that write what is not finite."""


def save(frames, path) -> None:
    if path.suffix == ".npz":
        np.savez(path, positions=frames.xyz, box=frames.unitcell_lengths, time=frames.time)
    else:
        frames.save(str(path))


@LENIENT
@given(
    st.sampled_from(FORMATS), st.sampled_from(sorted(FAULTS)), st.integers(0, FRAMES - 1), st.data()
)
def test_one_fault(tmp_path, suffix, fault, frame, data):
    change, values = FAULTS[fault]
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    change(frames, frame, data.draw(st.sampled_from(values)))
    path = tmp_path / f"run-{next(NUMBERS)}.{suffix}"
    save(frames, path)
    with pytest.raises(DynmatchError) as raised:
        project(tmp_path, path.name)
    (line,) = str(raised.value).splitlines()
    assert str(path) in line or line.startswith("reference."), line


@LENIENT
@given(st.sampled_from(("h5", "xtc", "trr", "dcd", "nc", "npz", "xyz")), st.floats(0, 0.999))
def test_a_file_that_is_cut_off(tmp_path, suffix, part):
    """What is there of it is right, where a format does not say how long it should be."""
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    keys = {"edges": [1.6] * 3} if suffix == "xyz" else {}
    number = next(NUMBERS)
    whole, cut = (tmp_path / f"{name}-{number}.{suffix}" for name in ("whole", "cut"))
    save(frames, whole)
    cut.write_bytes(whole.read_bytes()[: int(part * whole.stat().st_size)])
    try:
        found = project(tmp_path, cut.name, **keys)
    except DynmatchError as error:
        (line,) = str(error).splitlines()
        assert str(cut) in line, line
        return
    expected = project(tmp_path, whole.name, **keys)
    np.testing.assert_array_equal(found.positions, expected.positions[: found.n_frames])
