"""Files of sites that were generated: what makes no sense is refused in a line with the file's
name."""

import warnings

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import matrix
from dynmatch.sites.topology import SiteTopology, independent_sites
from dynmatch.sites.trajectory import SiteTrajectory, read, write
from tests.helpers.generated import lenient

pytestmark = pytest.mark.usefixtures("little_memory")

FRAMES, SITES = 12, 5
BAD = st.sampled_from([np.nan, np.inf, -np.inf])
BONDED = SiteTopology(tuple("ABABA"), (0, 0, 1, 1, 1), ("M", "N"), ((0, 1), (2, 3), (3, 4)))
KINDS = {
    "liquid": (
        independent_sites("ABCDE", "R"),
        np.full(3, 2.0),
        (
            "coordinates",
            "velocities",
            "site_forces",
            "site_masses",
            "time",
            "cell_lengths",
            "cell_angles",
        ),
    ),
    "molecules": (
        BONDED,
        np.array([[2.0, 0, 0], [0.5, 2.0, 0], [0.5, 0.5, 2.0]]),
        ("coordinates", "site_forces", "site_masses", "time", "site_box", "site_scale"),
    ),
    "no box": (BONDED, None, ("coordinates", "velocities", "site_masses", "time")),
}
"""Topology, box, and datasets that a fault is put into."""
PLACES = [(kind, name) for kind, (_, _, arrays) in KINDS.items() for name in arrays]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, bytes]:
    """A file of each kind; molecules have two replicas and were scaled to one box."""
    rng = np.random.default_rng(1)
    found = {}
    for kind, (topology, box, arrays) in KINDS.items():
        path = tmp_path_factory.mktemp("whole") / "whole.h5"
        x, v, f = rng.normal(size=(3, FRAMES, SITES, 3)).astype(np.float32)
        time = 0.1 * np.arange(FRAMES)
        if kind == "molecules":
            time = np.tile(time[: FRAMES // 2], 2)
        more = {
            "velocities": v if "velocities" in arrays else None,
            "forces": f if "site_forces" in arrays else None,
            "scale": np.linspace(0.99, 1.01, FRAMES) if "site_scale" in arrays else None,
        }
        write(path, SiteTrajectory(x, time, np.full(SITES, 18.0), topology, box, **more))
        found[kind] = path.read_bytes()
    return found


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


@lenient(60)
@given(st.sampled_from(PLACES), BAD, st.floats(0, 0.999))
def test_one_number_that_is_not_finite(whole, tmp_path, which, bad, place):
    path, (kind, name) = tmp_path / "run.h5", which

    def change(values):
        values = values.copy()
        flat = values.reshape(-1)
        flat[int(place * len(flat))] = bad
        return values

    spoiled(path, whole[kind], name, change)
    with pytest.raises(DynmatchError) as raised:
        read(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: ")
    assert name in line


CHANGES = {
    "a frame less": lambda values: values[:-1],
    "a site less": lambda values: values[:, :-1] if values.ndim > 1 else values[:-1],
    "another rank": lambda values: values[..., None],
    "nothing": lambda values: values[:0],
    "all the same": lambda values: np.zeros_like(values),
    "negative": lambda values: -np.abs(values) - 1,
    "changing": lambda values: (
        values * np.linspace(1, 2, len(values)).reshape(-1, *[1] * (values.ndim - 1))
    ),
}


@lenient(60)
@given(st.sampled_from(PLACES), st.sampled_from(sorted(CHANGES)))
def test_one_dataset_of_another_kind(whole, tmp_path, which, change):
    """Zero or negative coordinates, velocities and forces are possible, and times before 0."""
    path, (kind, name) = tmp_path / "run.h5", which
    try:
        spoiled(path, whole[kind], name, CHANGES[change])
    except (ValueError, tables.HDF5ExtError):
        # HDF5 itself has no such dataset
        return
    try:
        made = read(path)
    except DynmatchError as error:
        (line,) = str(error).splitlines()
        assert line.startswith(f"{path}: ")
        assert name in line or name == "coordinates"
        return
    free = ("coordinates", "velocities", "site_forces", "site_masses", "site_scale")
    assert change in ("all the same", "negative") or (change == "changing" and name in free)
    assert made.positions.shape == (FRAMES, SITES, 3)
    assert (made.masses > 0).all()
    assert made.box is None or (np.linalg.eigvals(matrix(made.box)) > 0).all()
    assert made.scale is None or (made.scale > 0).all()


@lenient(60)
@given(st.sampled_from(sorted(KINDS)), st.floats(0, 0.999))
def test_a_file_that_is_cut_off(whole, tmp_path, kind, part):
    path = tmp_path / "run.h5"
    path.write_bytes(whole[kind][: int(part * len(whole[kind]))])
    with pytest.raises(DynmatchError) as raised:
        read(path)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}: cannot be read as a site trajectory")


@pytest.mark.parametrize("name", ["velocities", "site_forces"])
def test_coordinates_in_the_place_of_others(whole, tmp_path, name):
    path = tmp_path / "run.h5"
    path.write_bytes(whole["liquid"])
    with tables.open_file(str(path), "a") as file:
        file.get_node("/", name).remove()
        file.create_hard_link("/", name, "/coordinates")
    with pytest.raises(DynmatchError, match=r"run.h5: .* are the coordinates once more"):
        read(path)
