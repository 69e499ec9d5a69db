"""The table of messages in docs/own-system.md is that of the program."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.systems.paths import expanded, with_files
from dynmatch.systems.trajectory.mappings import read_mapping
from tests.helpers.rule_files import ROOT
from tests.systems.test_own_trajectory import EDGE, project, trajectory

SCRIPTS = ROOT / "scripts"
READERS = [
    *sorted((SCRIPTS / "dynmatch/systems/trajectory").glob("*.py")),
    *(SCRIPTS / f"dynmatch/sites/{name}.py" for name in ("mapping", "molecules", "selection")),
    SCRIPTS / "dynmatch/systems/paths.py",
    SCRIPTS / "dynmatch/cli/new.py",
    SCRIPTS / "dynmatch/cli/check.py",
    SCRIPTS / "own_projection.py",
]


def text(node: ast.expr) -> str:
    """What is constant of a string, its gaps as {}."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) for part in node.values)
    return "{}"


def messages(path: Path) -> list[str]:
    """Those of the errors that a module raises, but for what it passes on."""
    nodes = ast.walk(ast.parse(path.read_text()))
    raised = [n.exc for n in nodes if isinstance(n, ast.Raise) and isinstance(n.exc, ast.Call)]
    found = [text(call.args[0]) for call in raised if call.func.id == "DynmatchError"]
    return [
        message for message in found if re.search("[a-z]{2}", message.replace("reference.", ""))
    ]


def quoted() -> list[str]:
    """Parts of messages that the table shows."""
    page = (ROOT / "docs/own-system.md").read_text()
    rows = page.partition("## When something is wrong")[2].splitlines()
    return [
        part
        for row in rows
        if row[:1] == "|"
        for part in re.findall("`([^`]+)`", row[: row.index("|", 1)])
    ]


def test_every_message_of_the_reader_is_in_the_table():
    known = quoted()
    for path in READERS:
        for message in messages(path):
            assert any(part in message for part in known), f"{path.name}: {message}"


def test_every_row_of_the_table_is_a_message():
    everything = " ".join(
        text(node)
        for path in SCRIPTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant | ast.JoinedStr)
    )
    for part in quoted():
        assert part in everything, part


ARRAYS = {
    "positions": ({"positions": np.zeros((3, 108))}, r"positions have the shape \(3, 108\)"),
    "velocities": ({"velocities": np.zeros((2, 108, 3))}, "velocities have another shape than pos"),
    "box": ({"box": np.ones((2, 2))}, r"box has the shape \(2, 2\); it needs edges \(3,\)"),
    "frames": ({"positions": np.zeros((0, 108, 3))}, "run.npz: holds no frames"),
    "times": ({"time": np.full(30, np.nan)}, "the time of frame 0 is no number"),
}


@pytest.mark.parametrize(("change", "expected"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_do_not_fit(change, expected, tmp_path):
    frames, _ = trajectory()
    frames[0].save_pdb(tmp_path / "topology.pdb")
    held = {"positions": frames.xyz, "box": np.full(3, EDGE), "time": frames.time} | change
    np.savez(tmp_path / "run.npz", **held)
    with pytest.raises(DynmatchError, match=expected):
        project(tmp_path, "run.npz")


MAPPINGS = {
    "nothing": ("sites: []", "mapping.yaml: no mapping: it has neither molecules nor sites"),
    "no YAML": ("sites: [", "mapping.yaml: no YAML: "),
    "other keys": ("cutoff: 1.0", "mapping.yaml: may have the keys molecules and sites, and no ot"),
}


@pytest.mark.parametrize(("written", "expected"), MAPPINGS.values(), ids=MAPPINGS)
def test_mapping_files_that_are_none(written, expected, tmp_path):
    (tmp_path / "mapping.yaml").write_text(written)
    with pytest.raises(DynmatchError, match=expected):
        read_mapping(tmp_path / "mapping.yaml")


def test_paths_that_stand_for_too_much(tmp_path):
    with pytest.raises(DynmatchError, match="ranges of more than 100000 numbers"):
        expanded(f"{tmp_path}/run-{{1..9999999}}.xtc")
    for name in "ab":
        (tmp_path / f"{name}.pdb").touch()
    system = {"reference": {"topology": f"{tmp_path}/*.pdb"}}
    with pytest.raises(DynmatchError, match=r"reference.topology: 2 files fit .*\*.pdb"):
        with_files(system, ["topology"])
