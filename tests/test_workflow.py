"""The workflow as a whole: its jobs, its rules' directives, and one real run from nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from rule_files import ROOT, RULES
from snakemake.utils import update_config

PRESETS = ["laptop", *sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))]


def configfiles(preset: str) -> list[Path]:
    overlay = [] if preset == "laptop" else [ROOT / "presets" / f"{preset}.yaml"]
    return [ROOT / "config.yaml", *overlay]


def snakemake(folder: Path, preset: str, *options: str) -> subprocess.CompletedProcess:
    """Run the workflow with its working directory in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", *configfiles(preset)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_asks_for_the_jobs_it_should(preset, tmp_path):
    config = {}
    for path in configfiles(preset):
        update_config(config, yaml.safe_load(path.read_text()))
    call = snakemake(tmp_path, preset, "--dry-run")
    assert call.returncode == 0, call.stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", call.stdout, flags=re.MULTILINE))
    systems = {n: config["systems"][n] for n in config.get("only", config["systems"])}
    # a fluid of known dynamics is trained with these dynamics only
    known = sum(system["kind"] == "known" for system in systems.values())
    per_water = len(config["models"]) * len(config["seeds"])
    models = per_water * (len(systems) - known) + len(config["seeds"]) * known
    baselines = [system.get("baselines", {"methods": []}) for system in systems.values()]
    methods = sum(
        len(baseline["methods"]) * len(baseline.get("seeds", config["seeds"]))
        for baseline in baselines
    )
    assert int(jobs["training"]) == models
    assert int(jobs["export"]) == models
    assert int(jobs["record"]) == 1
    assert int(jobs.get("baseline", 0)) == methods
    # three kinds of dynamics for each of their potentials
    models += 3 * methods
    assert int(jobs["validation"]) == models
    assert int(jobs.get("projection", 0)) == len(systems) - known
    assert int(jobs["observables"]) == models
    assert int(jobs["summary"]) == 1
    assert int(jobs["figure"]) >= 8 * len(systems)


@pytest.mark.parametrize(("rule", "text"), RULES.items(), ids=RULES)
def test_rule_has_every_directive(rule, text):
    directives = set(re.findall(r"^    (\w+):", text, flags=re.MULTILINE))
    assert directives >= {
        "input",
        "output",
        "log",
        "benchmark",
        "threads",
        "resources",
        "conda",
        "message",
    }
    for resource in ("mem_mb", "runtime", "gpu"):
        assert re.search(rf"\b{resource}=", text), resource


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Path:
    """Results of the smoke preset, computed from nothing."""
    folder = tmp_path_factory.mktemp("smoke")
    call = snakemake(folder, "smoke")
    assert call.returncode == 0, call.stdout[-5000:]
    return folder


@pytest.mark.workflow
def test_summary_has_every_metric_of_both_models(smoke):
    summary = pd.read_csv(smoke / "results" / "smoke" / "summary.csv")
    assert list(summary) == ["system", "model", "seed", "observable", "metric", "value", "error"]
    expected = {
        ("rdf", "mae"),
        ("adf", "mae"),
        ("msd", "log_rmse"),
        ("diffusion", "ratio"),
        ("diffusion", "value"),
    }
    for model, more in (("bd", set()), ("ld", {("vacf", "mae")})):
        rows = summary[(summary.system == "water") & (summary.model == model)]
        metrics = rows.set_index(["observable", "metric"])
        assert set(metrics.index) >= expected | more
        chosen = metrics.loc[list(expected | more)]
        assert (chosen.value > 0).all()
        assert (chosen.error > 0).all()


@pytest.mark.workflow
def test_figures_are_there_as_pdf_and_png(smoke):
    figures = smoke / "results" / "smoke" / "figures"
    drawn = {path.stem for path in figures.glob("*.png")}
    assert "water_overview" in drawn
    assert drawn == {path.stem for path in figures.glob("*.pdf")}


@pytest.mark.workflow
def test_nothing_half_written_is_left(smoke):
    assert not [path for path in smoke.rglob("*") if ".part" in path.name]


@pytest.mark.workflow
def test_a_second_run_has_nothing_to_do(smoke):
    assert "Nothing to be done" in snakemake(smoke, "smoke", "--dry-run").stdout


@pytest.mark.workflow
def test_models_are_exported(smoke):
    for model in ("bd", "ld"):
        export = smoke / "results" / "smoke" / "water" / model / "seed-1" / "export"
        assert (export / "lammps" / "in.lammps").is_file()
        assert (export / "openmm" / "run_openmm.py").is_file()


@pytest.mark.workflow
def test_report_stands_alone_and_has_every_figure(smoke):
    """Nothing in it is loaded from elsewhere; every figure is embedded, with a caption."""
    call = snakemake(smoke, "smoke", "--report", str(smoke / "report.html"))
    assert call.returncode == 0, call.stdout
    page = (smoke / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["']https?:[^"']*\.(?:js|css|png)""", page)
    for figure in (smoke / "results" / "smoke" / "figures").glob("*.png"):
        assert figure.name in page
    assert "one standard error" in page
