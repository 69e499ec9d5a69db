"""Trajectories that do not fit into memory."""

import os
import subprocess
import sys

import numpy as np
import pytest

from dynmatch.observables import correlation
from dynmatch.observables.analysis import observe
from dynmatch.settings import ObservableSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory, read, write
from dynmatch.storage import memmap
from tests.helpers.memory import limit_memory

SITES = 64
BOX = np.full(3, 2.0)
SETTINGS = ObservableSettings(
    structure_spacing=5.0,
    shell_cutoff=0.4,
    msd_length=15.0,
    rdf_bin=0.02,
    vacf_length=2.0,
    van_hove_lags=(5.0,),
    scattering_k=(8.0,),
)
ROOM = 48 * 2**20
"""Bytes that the analysis may take for itself."""


def random_walk(frames: int) -> SiteTrajectory:
    rng = np.random.default_rng(3)
    steps = rng.normal(0, 0.02, (frames, SITES, 3)).astype(np.float32)
    steps[0] = rng.uniform(0, BOX, (SITES, 3))
    return SiteTrajectory(
        positions=np.cumsum(steps, axis=0, dtype=np.float32),
        time=0.1 * np.arange(frames),
        masses=np.ones(SITES),
        topology=independent_sites(["W"] * SITES, "SOL"),
        box=BOX,
        velocities=rng.normal(size=(frames, SITES, 3)).astype(np.float32),
    )


def test_mapped_and_resident_trajectories_give_the_same_tables(tmp_path, monkeypatch):
    write(tmp_path / "walk.h5", random_walk(2001))
    resident = read(tmp_path / "walk.h5")
    monkeypatch.setattr(memmap, "LARGE", 1)
    paged = read(tmp_path / "walk.h5")
    assert isinstance(paged.positions, np.memmap)
    assert not isinstance(resident.positions, np.memmap)
    one, other = (observe("liquid", t, 300.0, SETTINGS)[0] for t in (resident, paged))
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name].to_numpy(), other[name].to_numpy(), err_msg=name)


def analyse(path: str) -> None:
    """Every observable of the file, in `ROOM` beyond what the process has taken by then."""
    memmap.LARGE = memmap.CHUNK = 2**20
    correlation.CHUNK = 300_000
    observe("liquid", random_walk(601), 300.0, SETTINGS)
    limit_memory(ROOM)
    trajectory = read(path)
    assert trajectory.positions.nbytes + trajectory.velocities.nbytes > 2 * ROOM
    observe("liquid", trajectory, 300.0, SETTINGS)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits private memory alone")
def test_memory_does_not_grow_with_the_trajectory(tmp_path):
    write(tmp_path / "long.h5", random_walk(70_000))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, __file__, tmp_path / "long.h5"]
    subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    analyse(sys.argv[1])
