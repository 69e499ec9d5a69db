"""docs/extending.md, done to a copy of the workflow as it is written.

The edits are as many as its table says, and the rest of the workflow makes use of the additions.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.jobs import Job, jobs_of_run
from tests.helpers.rule_files import ROOT
from tests.workflow.test_workflow import PARTS

PAGE = ROOT / "docs" / "extending.md"
NEW = re.compile(r"\[`([^`]+)`\]\(\.\./(tests/helpers/toys/[^)]+)\)")
EDIT = re.compile(
    r"In `([^`]+)`, (above|below|in place of) `([^`]+)`:\n\n```\w+\n(.*?)```", re.DOTALL
)


def recipes() -> dict[str, str]:
    """The text of each recipe by its heading."""
    parts = re.split(r"^## (.+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def edit(path: Path, where: str, line: str, text: str) -> None:
    """Put `text` above, below or in place of the first line of a file that is `line`."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    number = [each.strip() for each in lines].index(line)
    end = number if where == "above" else number + 1
    lines[number + (where == "below") : end] = [text]
    path.write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Path:
    """A copy of the workflow with all recipes done."""
    folder = tmp_path_factory.mktemp("extended")
    for part in (*PARTS, "tests", "pyproject.toml"):
        source, ignore = ROOT / part, shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy(source, folder / part)
    for text in recipes().values():
        for path, toy in NEW.findall(text):
            (folder / path).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / toy, folder / path)
        for path, *change in EDIT.findall(text):
            edit(folder / path, *change)
    return folder


def python(folder: Path, *words: str) -> str:
    """What Python with the library of `folder` prints."""
    called = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "scripts"), "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert called.returncode == 0, called.stdout + called.stderr
    return called.stdout


def blocks(text: str, language: str) -> list[str]:
    """The blocks of that language which are no edits."""
    edits = {change[-1] for change in EDIT.findall(text)}
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return [block for block in found if block not in edits]


@pytest.fixture(scope="module")
def jobs(extended) -> tuple[Job, ...]:
    """Those of the run that the page shows."""
    (config,) = blocks(recipes()["A kind of system"], "yaml")
    (extended / "mine.yaml").write_text(config, encoding="utf-8")
    (extended / "sites.h5").touch()
    files = [extended / "config.yaml", extended / "mine.yaml"]
    return jobs_of_run(extended / "Snakefile", extended, files)


def test_the_table_counts_what_the_recipes_do():
    rows = re.findall(r"^\| (.+?) \| (\d) \| (\d) \|$", PAGE.read_text(), flags=re.MULTILINE)
    counted = {name: (int(edited), int(new)) for name, edited, new in rows}
    done = {
        f"{heading[0].lower()}{heading[1:]}": (
            len({path for path, *_ in EDIT.findall(text) if not path.startswith("tests/")}),
            len([path for path, _ in NEW.findall(text)]),
        )
        for heading, text in recipes().items()
    }
    assert len(done) == 5
    assert done == counted


def test_every_block_is_used_here():
    """As an edit, or as the config of the run and the two examples in Python."""
    assert len(blocks(PAGE.read_text(encoding="utf-8"), r"\w+")) == 3


def test_the_additions_are_in_their_layers(extended):
    chosen = "go_down or kind_of_system or training_imports or neither"
    plain = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    assert "passed" in python(
        extended, "-m", "pytest", *plain, "tests/test_layers.py", "-k", chosen
    )


@pytest.mark.parametrize(
    ("file", "entry", "count"),
    [("potentials/test_contract.py", "soft", 10), ("dynamics/test_contract.py", "em", 5)],
)
def test_contracts_are_kept(extended, file, entry, count):
    """By a term and an equation of motion that nobody has written a test for."""
    plain = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    found = python(extended, "-m", "pytest", *plain, f"tests/{file}", "-k", entry)
    assert int(re.search(r"(\d+) passed", found)[1]) >= count


@pytest.mark.parametrize("recipe", ["An equation of motion", "A term of the potential"])
def test_examples_in_python(extended, recipe):
    (code,) = blocks(recipes()[recipe], "python")
    assert python(extended, "-c", code)


def test_all_additions_are_in_a_run(jobs):
    """A training with the new dynamics, term and start, and the new table, figure and engine."""
    by_rule = {job.rule: job for job in jobs}
    assert by_rule["training"].wildcards == {"system": "mine", "model": "em", "seed": "1"}
    for rule, files in {
        "training": ("dynamics/euler", "potentials/soft", "bottom_up/soft_start"),
        "validation": ("dynamics/euler", "potentials/soft"),
        "observables": ("observables/coordination",),
        "export": ("export/table",),
    }.items():
        for file in files:
            assert f"dynmatch/{file}.py" in by_rule[rule].code, (rule, file)
    figures = {job.wildcards["figure"] for job in jobs if job.rule == "figure"}
    assert "coordination" in figures


def test_the_config_of_a_new_kind_is_checked_by_its_own_schema(extended):
    wrong = {"systems": {"mine": {"kind": "sites", "reference": {"frame_spacing": 0.02}}}}
    code = f"from dynmatch.workflow.config import complete\ncomplete({wrong})"
    with pytest.raises(AssertionError, match=r"systems\.mine\.reference.*file"):
        python(extended, "-c", code)
