"""Full disks, hostile files, two runs in one folder: a clear stop, and nothing that looks finished.

Other faults are tested where they belong: docs/reliability.md has the list.
"""

import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tables

from dynmatch.errors import DynmatchError
from dynmatch.model_file import load, save
from dynmatch.sites.trajectory import read, write
from dynmatch.storage.atomic import replacing
from dynmatch.storage.checkpoint import Resumable
from dynmatch.systems.all_atom.segments import Segment, write_segment
from tests.helpers.models import grid, soft_model
from tests.helpers.rule_files import ROOT

FRAMES = np.random.default_rng(1).normal(size=(400, 64, 3)).astype(np.float32)


@pytest.fixture
def full_disk():
    """No file may grow beyond 64 kB: the system calls fail as they do on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)


def save_segment(path):
    numbers = np.arange(3.0)
    write_segment(path, Segment(FRAMES, FRAMES, numbers, numbers, numbers, "state"), "a")


def save_trajectory(path):
    write(path, replace(grid(4, 1.25), positions=FRAMES, time=np.arange(400.0)))


def save_table(path):
    with replacing(path) as temporary:
        pd.DataFrame(FRAMES[:, :, 0]).to_csv(temporary)


def save_checkpoint(path):
    Resumable(path.parent, "a").save({"x": FRAMES}, {})


WRITERS = {
    "segment.h5": save_segment,
    "trajectory.h5": save_trajectory,
    "table.csv": save_table,
    "latest.msgpack": save_checkpoint,
}


@pytest.mark.parametrize(("name", "save"), WRITERS.items(), ids=WRITERS)
def test_full_disk_is_named_and_leaves_nothing_half_written(name, save, full_disk, tmp_path):
    path = tmp_path / name
    with pytest.raises(DynmatchError, match=rf"{name}: cannot be written .*; make room"):
        save(path)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_the_checkpoint_before(full_disk, tmp_path):
    state = {"x": np.arange(5.0)}
    loop = Resumable(tmp_path, "a")
    loop.save(state, {"update": 1})
    with pytest.raises(DynmatchError, match="cannot be written"):
        loop.save({"x": FRAMES}, {"update": 2})
    kept, record = loop.load(state)
    assert record == {"update": 1}
    np.testing.assert_array_equal(kept["x"], state["x"])


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no folder that root cannot write to")
def test_folder_without_permission_is_named():
    with pytest.raises(DynmatchError, match=r"/sys/kernel/a/table\.csv: cannot be written"):
        save_table(Path("/sys/kernel/a/table.csv"))


@pytest.mark.parametrize("name", ["coordinates", "site_forces", "site_masses"])
def test_one_wrong_bit_in_a_trajectory_is_noticed(name, tmp_path):
    path = tmp_path / "projected.h5"
    one = replace(grid(4, 1.25), positions=FRAMES, time=np.arange(400.0), forces=2 * FRAMES)
    write(path, one)
    with tables.open_file(str(path)) as file:
        node = file.get_node("/", name)
        offset = node.chunk_info((0,) * node.ndim).offset
    content = bytearray(path.read_bytes())
    content[offset + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DynmatchError, match=r"projected\.h5: cannot be read"):
        read(path)


class Hostile:
    """Unpickling it makes a folder."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def trace(tmp_path):
    """A path that must not come into being."""
    path = tmp_path / "executed"
    assert pickle.loads(pickle.dumps(Hostile(path))) is None and path.is_dir()
    path.rmdir()
    return path


@pytest.mark.parametrize("place", ["root", "array", "object"])
def test_pickles_in_a_trajectory_are_not_executed(place, trace, tmp_path):
    path = tmp_path / "trajectory.h5"
    write(path, grid(4, 1.25))
    evil = pickle.dumps(Hostile(trace), 0)
    with tables.open_file(str(path), "a") as file:
        if place == "object":
            file.remove_node("/topology")
            array = file.create_vlarray("/", "topology", tables.ObjectAtom())
            array.append(Hostile(trace))
        else:
            node = file.root if place == "root" else file.root.coordinates
            node._v_attrs._g_setattr(node, "TITLE", np.bytes_(evil))
    if place == "object":
        with pytest.raises(DynmatchError, match=r"trajectory\.h5"):
            read(path)
    else:
        # the attribute is not used, the data are sound
        np.testing.assert_array_equal(read(path).positions, grid(4, 1.25).positions)
    assert not trace.exists()


def test_a_pickle_is_no_checkpoint(trace, tmp_path, caplog):
    (tmp_path / "latest.msgpack").write_bytes(pickle.dumps(Hostile(trace)))
    assert Resumable(tmp_path, "a").load({"x": 0}) is None
    assert "latest.msgpack: damaged" in caplog.text
    assert not trace.exists()


def test_arrays_of_a_model_cannot_lie_elsewhere(tmp_path):
    """A model from someone else names its archive: only the file beside it is opened."""
    path = tmp_path / "model.yaml"
    save(path, tmp_path / "model.npz", soft_model(), grid(2, 1.3).topology, {})
    text = path.read_text().replace("arrays: model.npz", "arrays: ../../etc/passwd")
    path.write_text("\n".join(line for line in text.splitlines() if "content_" not in line))
    with pytest.raises(DynmatchError, match=r"model.yaml: arrays is '../../etc/passwd'"):
        load(path)


def snakemake(folder: Path, *options: str) -> list:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--configfile"]
    return [*command, ROOT / "config.yaml", ROOT / "presets" / "smoke.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "run: !!python/object/apply:os.mkdir [{trace}]",
        'run: ?__import__("os").mkdir("{trace}")',
        "run: ../../elsewhere",
        "systems: {{'../elsewhere': {{kind: water}}}}",
    ],
    ids=["object", "expression", "path", "system"],
)
def test_a_hostile_config_is_refused_and_not_executed(text, trace, tmp_path):
    config = tmp_path / "hostile.yaml"
    config.write_text(text.format(trace=trace))
    call = subprocess.run(
        [*snakemake(tmp_path, "--dry-run"), config], capture_output=True, text=True
    )
    assert call.returncode != 0
    assert "Job stats" not in call.stdout + call.stderr
    assert not trace.exists()


@pytest.mark.workflow
def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    """Snakemake's lock; and after a kill, it is there until it is taken away."""
    first = subprocess.Popen(
        snakemake(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    locks = tmp_path / ".snakemake" / "locks"
    while not (locks.is_dir() and list(locks.iterdir())):
        assert first.poll() is None, "the first run ended before it had begun"
        time.sleep(0.05)

    def told(*options):
        call = subprocess.run(snakemake(tmp_path, *options), capture_output=True, text=True)
        return call.returncode, call.stderr

    code, message = told()
    assert code != 0
    assert "Directory cannot be locked" in message
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    code, message = told()
    assert code != 0
    assert "--unlock" in message
    assert told("--unlock")[0] == 0
    assert not list(locks.glob("*"))
