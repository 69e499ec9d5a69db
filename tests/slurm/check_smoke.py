"""The smoke preset through profiles/slurm, on a real Slurm: `make test-slurm`."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.slurm.cluster import jobs, snakemake

SINGLE = ["reference", "projection", "reference_observables", "training_part_observables"]
MODELS = ("ld",)
"""One is enough for the profiles; tests/workflow/test_workflow.py runs all."""
OF_EACH_MODEL = ["training", "validation", "observables", "export"]


SHORTER = {
    "reference": {"equilibration": 2.0, "length": 20.0, "segment": 10.0},
    "validation": {"length": 30.0, "equilibration": 1.0},
    "observables": {"msd_length": 8.0},
}
"""Every rule has its job. test_workflow.py runs the preset as it is; the training is the same, so
that what is compiled for one serves the other."""


def overlay(folder: Path) -> Path:
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"models": list(MODELS), "systems": {"water": SHORTER}}))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The whole chain; training asks for a GPU, which Slurm only counts here."""
    folder = tmp_path_factory.mktemp("smoke")
    options = [
        "--set-resources",
        "training:gpu=1",
        "--slurm-init-seconds-before-status-checks",
        "2",
    ]
    call = snakemake(folder, "slurm", *options, overlays=[overlay(folder)])
    assert call.returncode == 0, call.stdout[-5000:]
    return folder


def test_every_model_is_compared_with_the_reference(folder):
    summary = pd.read_csv(folder / "results" / "smoke" / "summary.csv")
    chosen = summary.set_index(["model", "observable", "metric"]).value
    metrics = [
        ("rdf", "mae"),
        ("adf", "mae"),
        ("msd", "log_rmse 0.02-1 ps"),
        ("diffusion", "ratio"),
    ]
    for model in MODELS:
        for metric in metrics:
            assert chosen[(model, *metric)] > 0
    figures = folder / "results" / "smoke" / "figures"
    assert (figures / "water_overview.png").stat().st_size > 10_000


def test_every_rule_is_a_job_and_the_short_ones_share_one(folder):
    done = jobs()
    assert set(done.state) == {"COMPLETED"}
    # its name goes on with those of its rules
    rules = done.rule.str.replace(r"^report_.*", "report", regex=True)
    assert sorted(rules) == sorted([*SINGLE, *len(MODELS) * OF_EACH_MODEL, "report"])


def test_jobs_that_ask_for_a_gpu_get_one_in_its_partition(folder):
    done = jobs()
    training = done.rule == "training"
    assert set(done.partition[training]) == {"gpu"}
    assert set(done.partition[~training]) == {"cpu"}


def test_generic_profile_submits_and_waits(folder):
    """One more job, by the commands that profiles/cluster-generic gives for this scheduler."""
    summary = folder / "results" / "smoke" / "summary.csv"
    before = summary.read_bytes()
    summary.unlink()
    count = len(jobs())
    target = str(summary.relative_to(folder))
    call = snakemake(folder, "cluster-generic", "--", target, overlays=[overlay(folder)])
    assert call.returncode == 0, call.stdout[-5000:]
    assert summary.read_bytes() == before
    assert len(jobs()) == count + 1
