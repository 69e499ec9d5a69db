"""Files of sites that were generated: what makes no sense is refused in a line with the file's
name."""

import os
import warnings

import numpy as np
import pytest
import tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynmatch.errors import DynmatchError
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory, read, write

EXAMPLES = int(os.environ.get("DYNMATCH_EXAMPLES", "60"))
"""The number in docs/reliability.md is of a run with 300."""
FRAMES, SITES = 12, 5
ARRAYS = ("coordinates", "velocities", "site_forces", "site_masses", "time", "cell_lengths")
BAD = st.sampled_from([np.nan, np.inf, -np.inf])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("whole") / "whole.h5"
    x, v, f = rng.normal(size=(3, FRAMES, SITES, 3)).astype(np.float32)
    topology = independent_sites("ABCDE", "R")
    write(
        path,
        SiteTrajectory(
            x, 0.1 * np.arange(FRAMES), np.full(SITES, 18.0), topology, np.full(3, 2.0), v, f
        ),
    )
    return path.read_bytes()


def spoiled(path, content: bytes, name: str, change) -> None:
    """The file with a dataset in place of which stands what `change` makes of it."""
    path.write_bytes(content)
    with warnings.catch_warnings(), tables.open_file(str(path), "a") as file:
        warnings.simplefilter("ignore")
        node = file.get_node("/", name)
        values, attributes = node.read(), {k: node.attrs[k] for k in node.attrs._f_list("user")}
        node.remove()
        made = file.create_carray("/", name, obj=change(values))
        for key, value in attributes.items():
            made.attrs[key] = value


@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.sampled_from(ARRAYS), BAD, st.floats(0, 0.999))
def test_one_number_that_is_not_finite(whole, tmp_path, name, bad, place):
    """In the first frame of a box; elsewhere, boxes of sites are not looked at."""
    path = tmp_path / "run.h5"

    def change(values):
        values = values.copy()
        flat = values.reshape(-1)
        flat[int(place * (3 if name == "cell_lengths" else len(flat)))] = bad
        return values

    spoiled(path, whole, name, change)
    with pytest.raises(DynmatchError) as raised:
        read(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: ")
    shown = {"cell_lengths": "its box"}.get(name, name)
    assert shown in line


CHANGES = {
    "a frame less": lambda values: values[:-1],
    "a site less": lambda values: values[:, :-1] if values.ndim > 1 else values[:-1],
    "another rank": lambda values: values[..., None],
    "nothing": lambda values: values[:0],
    "all the same": lambda values: np.zeros_like(values),
    "negative": lambda values: -np.abs(values) - 1,
}


@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.sampled_from(ARRAYS), st.sampled_from(sorted(CHANGES)))
def test_one_dataset_of_another_kind(whole, tmp_path, name, change):
    """Zero or negative coordinates, velocities and forces are possible, and times before 0."""
    path = tmp_path / "run.h5"
    try:
        spoiled(path, whole, name, CHANGES[change])
    except (ValueError, tables.HDF5ExtError):
        # HDF5 itself has no such dataset
        return
    try:
        made = read(path)
    except DynmatchError as error:
        (line,) = str(error).splitlines()
        assert line.startswith(f"{path}: ")
        return
    assert change in ("all the same", "negative") or name == "cell_lengths", (name, change)
    assert made.positions.shape == (FRAMES, SITES, 3)
    assert (made.masses > 0).all()
    assert (made.box > 0).all()


@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(st.floats(0, 0.999))
def test_a_file_that_is_cut_off(whole, tmp_path, part):
    path = tmp_path / "run.h5"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(DynmatchError) as raised:
        read(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: cannot be read as a site trajectory")


@pytest.mark.parametrize("name", ["velocities", "site_forces"])
def test_coordinates_in_the_place_of_others(whole, tmp_path, name):
    path = tmp_path / "run.h5"
    path.write_bytes(whole)
    with tables.open_file(str(path), "a") as file:
        file.get_node("/", name).remove()
        file.create_hard_link("/", name, "/coordinates")
    with pytest.raises(DynmatchError, match=r"run.h5: .* are the coordinates once more"):
        read(path)
