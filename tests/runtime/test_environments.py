"""The conda environments agree with the lock and hold what the scripts import."""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from dynmatch.runtime.source_closure import closure, imports
from tests.helpers.jobs import jobs_of
from tests.helpers.rule_files import ROOT, RULES

ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PYTHON = {"python_version": "3.11", "python_full_version": "3.11.0"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Version of every package that the lock gives for Python 3.11."""
    versions = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            requirement = Requirement(line.removesuffix("\\"))
            if requirement.marker is None or requirement.marker.evaluate(PYTHON):
                versions[canonical(requirement.name)] = str(requirement.specifier)
    return versions


def pinned(environment: Path) -> dict[str, str]:
    """Version of every package in the pip section of an environment file."""
    *_, section = yaml.safe_load(environment.read_text())["dependencies"]
    requirements = map(Requirement, section["pip"])
    return {canonical(each.name): str(each.specifier) for each in requirements}


def code_of(rule: str) -> set[Path]:
    """Python files that the jobs of a rule rest on, on systems of whatever kind."""
    names = set().union(*(job.code for job in jobs_of(rule)))
    return {ROOT / "scripts" / name for name in names if name.endswith(".py")}


def environment_of(rule: str) -> Path:
    (name,) = {job.environment for job in jobs_of(rule)}
    return ROOT / "envs" / name


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda path: path.stem)
def test_pins_are_those_of_the_lock(environment):
    versions = locked()
    content = yaml.safe_load(environment.read_text())
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert content["dependencies"][:2] == ["python =3.11", "pip"]
    assert pinned(environment) == {name: versions[name] for name in pinned(environment)}


def test_what_nothing_needs_is_left_out_of_the_lock():
    lines = (ROOT / "envs" / "overrides.txt").read_text().splitlines()
    left_out = {canonical(Requirement(line).name) for line in lines if not line.startswith("#")}
    assert left_out
    assert not left_out & locked().keys()


@pytest.mark.parametrize("rule", RULES)
def test_environment_holds_what_the_rule_imports(rule):
    distributions = metadata.packages_distributions()
    environment = pinned(environment_of(rule))
    for file in code_of(rule):
        for module in {name.partition(".")[0] for name in imports(file)}:
            if module not in sys.stdlib_module_names and module not in ("dynmatch", "snakemake"):
                names = {canonical(name) for name in distributions[module]}
                assert names & environment.keys(), f"{file.name} imports {module}"


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_run_again_when_its_library_changes(rule):
    for job in jobs_of(rule):
        script = ROOT / "scripts" / job.script
        needed = {script, *closure(imports(script))}
        assert needed <= {ROOT / "scripts" / name for name in job.code}


def test_closure_follows_imports_through_the_library():
    files = closure(["dynmatch.workflow.log", "numpy"])
    names = [str(file.relative_to(ROOT / "scripts" / "dynmatch")) for file in files]
    assert names == ["errors.py", "workflow/__init__.py", "workflow/log.py"]
    assert "atomic.py" in {file.name for file in closure(["dynmatch.sites.trajectory"])}
