"""Which jobs read a key of the config, as docs/reference/reruns.md says; no job is run."""

import copy
import json
import re
import runpy
from functools import cache
from types import SimpleNamespace

import pytest
import yaml

from dynmatch.settings import TrainingSettings
from dynmatch.training.train import Trained
from tests.helpers.jobs import Job, jobs_of_run
from tests.helpers.models import grid, soft_model
from tests.helpers.rule_files import ROOT

CHANGED = {
    "reference.length": 1600.0,
    "potential.pair_basis": 50,
    "training.updates": 70,
    "training.minutes": 3.0,
    "training.gle.updates": 100,
    "training.ld.time_step": 0.005,
    "training.roughness": 0.002,
    "training.threads": 2,
    "baselines.updates": 900,
    "baselines.methods": ["fm"],
    "validation.length": 2500.0,
    "observables.rdf_bin": 0.01,
}


def name_of(key: str) -> str:
    """A system that is the default water but for that key."""
    return key.replace(".", "_")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> tuple[Job, ...]:
    """Of one run with the default water and all baselines, and one system for each changed key."""
    folder = tmp_path_factory.mktemp("changed")
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["systems"]["water"]["baselines"]["methods"] = ["fm", "rem", "static"]
    for key, value in CHANGED.items():
        system = copy.deepcopy(config["systems"]["water"])
        *above, last = key.split(".")
        section = system
        for part in above:
            section = section[part]
        assert section.get(last) != value
        section[last] = value
        config["systems"][name_of(key)] = system
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return jobs_of_run(ROOT / "Snakefile", folder, [path])


@cache
def table() -> dict[str, set[str]]:
    """The jobs by key, as the page has them."""
    text = (ROOT / "docs/reference/reruns.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \|$", text, flags=re.MULTILINE)
    return {key: set(jobs.split(", ")) - {"none"} for key, jobs in rows}


def params_of(jobs: tuple[Job, ...], system: str) -> dict[tuple, dict]:
    """Parameters of the jobs of a system, by rule and what else they are of."""
    return {
        (job.rule, *sorted((job.wildcards | {"system": ""}).items())): json.loads(
            job.params.replace(f"/{system}/", "/NAME/")
        )
        for job in jobs
        if job.wildcards.get("system") == system
    }


def named(key: tuple) -> str:
    rule, *wildcards = key
    which = {"training": "model", "baseline": "method"}.get(rule)
    return f"{rule} {dict(wildcards)[which]}" if which else rule


@pytest.mark.parametrize("key", CHANGED)
def test_a_key_is_read_by_the_jobs_of_the_table(jobs, key):
    before, after = params_of(jobs, "water"), params_of(jobs, name_of(key))
    differing = {named(job) for job in before.keys() & after.keys() if before[job] != after[job]}
    # captions and bars follow the config as well, in seconds
    assert differing - {"figure", "snapshot"} == table()[key]


def test_the_table_has_every_key_that_is_tried():
    assert table().keys() == CHANGED.keys()


@pytest.mark.parametrize(("ended_by", "kept"), [("minutes", True), ("updates", False)])
def test_a_training_that_was_cut_off_keeps_its_checkpoint(tmp_path, monkeypatch, ended_by, kept):
    """`training.train` continues from it; a longer `minutes` is the same training to it."""
    model = soft_model("bd")
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for name, value in {
        "dynmatch.runtime.jax_setup.configure": lambda *_: None,
        "dynmatch.sites.trajectory.read": lambda *_, **__: grid(4, 1.25),
        "dynmatch.sites.holdout.training_part": lambda trajectory: trajectory,
        "dynmatch.training.train.train": lambda *_: Trained(
            model, [{"update": 1}], [], ended_by, "cut off at 1 of 2 updates", 0.1
        ),
    }.items():
        monkeypatch.setattr(name, value)
    files = {"history": "history.csv", "start": "start.csv", "arrays": "model.npz"}
    files = {name: str(tmp_path / file) for name, file in files.items()}
    snakemake = SimpleNamespace(
        input=SimpleNamespace(projected=""),
        output=SimpleNamespace(model=str(tmp_path / "model.yaml"), **files),
        wildcards=SimpleNamespace(model="bd", seed="1", system="water"),
        params=SimpleNamespace(
            device="cpu",
            training=TrainingSettings().section(),
            potential={},
            potential_settings="dynmatch.settings.PotentialSettings",
            temperature=300.0,
            mapping="none",
            checkpoint=str(checkpoint),
        ),
        log=[str(tmp_path / "log")],
        threads=1,
    )
    runpy.run_path(str(ROOT / "scripts/training.py"), {"snakemake": snakemake})
    assert checkpoint.exists() == kept
