"""Commands and examples of the documentation are run as they stand.

What a shell is given in README.md and docs/ falls into four classes. `make` and `snakemake` are run
dry here, in a copy of the workflow, and in earnest by `test_workflow.py`, which makes the report as
well; engines run exported models; `.ci/run` builds the site; two commands are of other kinds, and
those of ethane are run by `test_walkthroughs.py`. The rest needs what no test has, and the text
says so.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import dynmatch
from dynmatch.export import lammps, openmm_files
from dynmatch.model import Model
from dynmatch.model_file import save
from dynmatch.simulation.run import simulate
from dynmatch.sites import trajectory
from tests.helpers.models import grid, soft_model
from tests.helpers.rule_files import ROOT
from tests.workflow.test_workflow import PARTS

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "config/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
MADE_DRY = r"make |(\.venv/bin/)?snakemake (?!--use-conda|--report|.*ethane)"
MODEL_RUNS = r"cd results/(laptop|demo)/water/ld/seed-1/export|(\.\./)+\.venv/bin/"
OTHERS = (
    r"\.venv/bin/mkdocs build|grep -n __use_yte__|pgrep |"
    r"\.venv/bin/pytest --numprocesses|\.venv/bin/snakemake --report|\.venv/bin/pyrefly|.*ethane"
)
NEEDS = {
    r"(\.venv/bin/)?pip install": r"needs? a connection|an NVIDIA GPU|optional",
    r"\.venv/bin/python examples/methanol": r"11 minutes",
    r"python -m benchmarks": r"needs a quiet machine",
    r"snakemake --use-conda": r"needs conda",
    r"uv pip compile": r"needs a connection",
    r"docker |apptainer ": r"needs (Docker|Apptainer)",
}
"""Commands that no test runs, and what the paragraph around them must say they need."""


def linear(model: Model) -> Model:
    """The same with a linear three-body term."""
    network = {
        name: {"params": {"Dense_0": each["params"]["Dense_0"]}}
        for name, each in model.parameters["network"].items()
    }
    terms = tuple(
        replace(term, hidden=()) if term.kind == "three_body" else term
        for term in model.potential.terms
    )
    potential = replace(model.potential, terms=terms)
    return replace(model, potential=potential, parameters=model.parameters | {"network": network})


def results_of(root: Path, model: Model) -> Path:
    """The results tree of a run with this trained model in `root`, as far as examples need it."""
    folder = root / "results/laptop/water/ld/seed-1"
    folder.mkdir(parents=True)
    start = grid(4, 1.25)
    run = simulate(
        model, start, replicas=1, length=40.0, equilibration=0.0, frame_spacing=0.1, seed=1
    )
    trajectory.write(root / "results/laptop/water/projected.h5", run)
    save(folder / "model.yaml", folder / "model.npz", model, start.topology, {})
    lammps.write(folder / "export/lammps", model, start, "test")
    openmm_files.write(folder / "export/openmm", model, start, "test")
    (root / ".venv").symlink_to(sys.prefix)
    return root


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return results_of(tmp_path_factory.mktemp("linear"), linear(soft_model("ld", 0.0125)))


@pytest.fixture(scope="module")
def network_results(tmp_path_factory):
    return results_of(tmp_path_factory.mktemp("network"), soft_model("ld", 0.0125))


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the workflow with the environment where the commands expect it."""
    folder = tmp_path_factory.mktemp("clone")
    for part in (*PARTS, "examples", "Makefile", "requirements.lock"):
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    (folder / ".venv").symlink_to(sys.prefix)
    tutorial = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    # what the tutorial writes, and in place of what `make new` writes
    for name in ("lags.yaml", "mine.yaml"):
        (folder / name).write_text(re.search(r"```yaml\n(.*?)```", tutorial, re.DOTALL)[1])
    own = folder / "results/methanol_atoms"
    own.mkdir(parents=True)
    for name in ("topology.pdb", "run-1.xtc", "run-2.xtc"):
        (own / name).touch()
    return folder


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", text, flags=re.DOTALL | re.MULTILINE)
    return [re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in found]


def commands() -> dict[str, str]:
    """Every command of the pages, in blocks and in the text, and the paragraphs around it."""
    around: dict[str, str] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
        words = r"`((?:make|snakemake|pip|python|\.venv/bin/\S+) [^`]*)`"
        for command in [*lines, *re.findall(words, text)]:
            typed = command.split("  #")[0].rstrip()
            for before, paragraph in pairwise(["", *text.split("\n\n")]):
                if command in paragraph:
                    around[typed] = around.get(typed, "") + before + paragraph
    return around


def test_tests_that_pages_name_are_there():
    files = {path.name for path in (ROOT / "tests").rglob("*.*")}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path, name in re.findall(r"\b(tests/[\w/]+\.\w+)|\b(test_\w+\.py)", text):
            there = (ROOT / path).exists() if path else name in files
            assert there, f"{page.name} names {path or name}"


def dry_runs() -> list[str]:
    return [each for each in commands() if re.match(MADE_DRY, each)]


def test_every_command_is_run_or_says_what_it_needs():
    assert len(commands()) > 30
    for command, text in commands().items():
        if re.match("|".join((MADE_DRY, MODEL_RUNS, OTHERS)), command):
            continue
        (needed,) = (needs for form, needs in NEEDS.items() if re.match(form, command))
        assert re.search(needed, re.sub(r"\s+", " ", text)), f"{command}: what does it need?"


@pytest.mark.parametrize("command", dry_runs())
def test_commands_of_make_and_snakemake(clone, command):
    """Without running their jobs: rules, presets, profiles and targets are there."""
    program, *words = shlex.split(command)
    if program == "make":
        call = ["make", "-n", *words]
    else:
        trial = [] if {"--unlock", "--dry-run"} & set(words) else ["--dry-run"]
        call = [sys.executable, "-m", "snakemake", *words, *trial]
    done = subprocess.run(call, cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_that_looks_for_expressions_in_a_config(tmp_path):
    """It finds the line in a file that has it, and nothing in our own config."""
    (command,) = (each for each in commands() if "__use_yte__" in each)
    (tmp_path / "their-config.yaml").write_text("run: theirs\n__use_yte__: true\n")
    assert os.system(f"cd {tmp_path} && {command}") == 0
    shutil.copy(ROOT / "config.yaml", tmp_path / "their-config.yaml")
    assert os.system(f"cd {tmp_path} && {command}") != 0


def test_examples_of_the_python_interface(results, monkeypatch):
    monkeypatch.chdir(results)
    names = executed("docs/api.md")
    assert names["trajectory"].n_frames == 201
    assert names["forces"].shape == (64, 3)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_a_model_in_a_few_lines(results, monkeypatch, page):
    monkeypatch.chdir(results)
    assert executed(page)["run"].n_frames == 201


def executed(page: str) -> dict:
    """Names after the blocks of Python of a page, which are those of a run with results."""
    names = {}
    for block in blocks(page, "python"):
        exec(compile(block.replace("results/demo", "results/laptop"), page, "exec"), names)
    return names


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_versions_are_the_same_everywhere():
    found = {dynmatch.__version__}
    for name, line in (
        ("pyproject.toml", r'^version = "(.+)"'),
        ("CITATION.cff", r"^version: (.+)"),
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        found.update(re.findall(line, text, flags=re.MULTILINE))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("page", "program", "kind"),
    [
        ("docs/tutorial.md", "bin/lmp", "results"),
        ("docs/export.md", "bin/lmp", "results"),
        ("docs/export.md", "run_openmm.py", "results"),
        ("docs/export.md", "lammps_driver", "network_results"),
        ("docs/export.md", "run_openmm.py", "network_results"),
    ],
)
def test_commands_that_run_an_exported_model(request, monkeypatch, page, program, kind):
    """As typed after `make figures`, but for shorter runs; dynmatch need not be installed here."""
    tree = request.getfixturevalue(kind)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "scripts"))
    (block,) = (each for each in blocks(page, "sh") if program in each)
    block = re.sub(r"^.*pip install.*$", "", block, flags=re.MULTILINE)
    block = block.replace("results/demo", "results/laptop")
    block = re.sub(r"in\.lammps.*", "in.lammps -var steps 80", block)
    block = block.replace("run_openmm.py 10", "run_openmm.py 1")
    folder = tree / "results/laptop/water/ld/seed-1/export"
    written = folder / (
        "openmm/trajectory.dcd" if "openmm" in program else "lammps/trajectory.lammpstrj"
    )
    written.unlink(missing_ok=True)
    assert os.system(f"cd {tree} && set -e\n{block}") == 0
    assert written.stat().st_size > 1000
