"""The workflow as a whole: its jobs, its rules' directives, and one real run from nothing."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from snakemake.utils import update_config

from tests.helpers.rule_files import ROOT, RULES

PRESETS = ["laptop", *sorted(path.stem for path in (ROOT / "presets").glob("*.yaml"))]


PARTS = (
    "Snakefile",
    "config.yaml",
    "envs",
    "presets",
    "profiles",
    "report",
    "rules",
    "schemas",
    "scripts",
)
"""What the workflow consists of."""


def configfiles(preset: str, workflow: Path = ROOT) -> list[Path]:
    overlay = [] if preset == "laptop" else [workflow / "presets" / f"{preset}.yaml"]
    return [workflow / "config.yaml", *overlay]


def snakemake(
    folder: Path, preset: str, *options: str, workflow: Path = ROOT, overlays: tuple[Path, ...] = ()
) -> subprocess.CompletedProcess:
    """Run the workflow with its working directory in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    command += ["--snakefile", workflow / "Snakefile", "--directory", folder]
    command += ["--configfile", *configfiles(preset, workflow), *overlays]
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
    fits = [
        len(baseline["methods"]) * len(baseline.get("seeds", config["seeds"]))
        for baseline in baselines
    ]
    assert int(jobs["training"]) == models
    assert int(jobs.get("baseline", 0)) == sum(fits)
    models += sum(
        fit * len(baseline["dynamics"])
        for fit, baseline in zip(fits, baselines, strict=True)
        if fit
    )
    assert int(jobs["export"]) == int(jobs["training"])
    assert int(jobs["record"]) == 1
    assert int(jobs["validation"]) == models
    # a molecule by itself is projected and observed by rules of its own
    molecules = sum(system["kind"] == "molecule" for system in systems.values())
    of_molecules = per_water * molecules
    liquids = sum(system["kind"] == "liquid" for system in systems.values())
    assert int(jobs.get("projection", 0)) == len(systems) - known - molecules - liquids
    assert int(jobs.get("liquid_projection", 0)) == liquids
    assert int(jobs.get("molecule_projection", 0)) == molecules
    assert int(jobs.get("observables", 0)) == models - of_molecules
    assert int(jobs.get("molecule_observables", 0)) == of_molecules
    assert int(jobs["summary"]) == 1
    assert int(jobs["figure"]) >= 8 * (len(systems) - molecules) + 5 * molecules


def test_a_trajectory_of_ones_own_takes_the_place_of_the_reference(tmp_path):
    """One site a residue, or those that a selection names."""
    for name in ("top.pdb", "run-1.xtc", "run-2.xtc"):
        (tmp_path / name).touch()
    own = {
        "kind": "trajectory",
        "reference": {
            "topology": "top.pdb",
            "trajectories": ["run-1.xtc", "run-2.xtc"],
            "frame_spacing": 0.1,
        },
        "validation": {"frame_spacing": 0.1},
    }
    mapped = own | {"reference": own["reference"] | {"sites": [{"name": "O", "atoms": "name O"}]}}
    overlay = tmp_path / "own.yaml"
    systems = {"residues": own, "mapped": mapped}
    # its frames are too far apart for a memory
    given = {"only": list(systems), "models": ["bd", "ld"], "systems": systems}
    overlay.write_text(yaml.safe_dump(given))
    call = snakemake(tmp_path, "laptop", "--dry-run", overlays=(overlay,))
    assert call.returncode == 0, call.stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", call.stdout, flags=re.MULTILINE))
    assert jobs["own_projection"] == "2"
    assert jobs["training"] == "4"
    assert jobs["reference_observables"] == jobs["training_part_observables"] == "2"
    assert "reference" not in jobs


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
    """A copy of the workflow with the results of the smoke preset, computed from nothing."""
    folder = tmp_path_factory.mktemp("smoke")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    call = snakemake(folder, "smoke", workflow=folder)
    assert call.returncode == 0, call.stdout[-5000:]
    before, _, after = call.stdout.partition("Estimated time on this machine, 2 cores")
    assert "Simulating water" not in before and "Simulating water" in after
    return folder


@pytest.mark.workflow
def test_summary_has_every_metric_of_both_models(smoke):
    summary = pd.read_csv(smoke / "results" / "smoke" / "summary.csv")
    columns = ["system", "model", "seed", "observable", "metric", "value", "error"]
    assert list(summary) == [*columns, "floor", "null", "status"]
    assert summary[summary.value.isna()].status.notna().all()
    expected = {
        ("rdf", "mae"),
        ("adf", "mae"),
        ("msd", "log_rmse 0.02-1 ps"),
        ("scattering", "mae"),
        ("diffusion", "ratio"),
    }
    moving = {("vacf", "mae"), ("vacf", "largest"), ("velocity_variance", "ratio")}
    for model, more in (("bd", set()), ("ld", moving)):
        rows = summary[(summary.system == "water") & (summary.model == model)]
        metrics = rows.set_index(["observable", "metric"])
        assert set(metrics.index) >= expected | more
        chosen = metrics.loc[list(expected | more)]
        assert (chosen.value > 0).all()
        assert (chosen.error > 0).all()
        assert (chosen.floor > 0).all()
        verdict = metrics.loc[("model", "verdict")]
        assert verdict.value == (verdict.status == "ok")


@pytest.mark.workflow
def test_the_summary_does_not_depend_on_the_speed_of_the_machine(smoke):
    summary = pd.read_csv(smoke / "results" / "smoke" / "summary.csv")
    assert not summary.metric.str.contains("minutes").any()


@pytest.mark.workflow
def test_figures_are_there_as_pdf_and_png(smoke):
    figures = smoke / "results" / "smoke" / "figures"
    drawn = {path.stem for path in figures.glob("*.png")}
    assert "water_overview" in drawn
    assert drawn == {path.stem for path in figures.glob("*.pdf")}


@pytest.mark.workflow
def test_nothing_half_written_is_left(smoke):
    assert not [path for path in smoke.rglob("*") if ".part" in path.name]


def asked_for(smoke: Path) -> set[str]:
    """Rules that another run would run."""
    call = snakemake(smoke, "smoke", "--dry-run", workflow=smoke)
    assert call.returncode == 0, call.stdout
    if "Nothing to be done" in call.stdout:
        return set()
    return {rule for rule, _ in re.findall(r"^(\w+) +(\d+)$", call.stdout, flags=re.MULTILINE)}


@pytest.mark.workflow
def test_a_second_run_has_nothing_to_do_even_after_a_new_checkout(smoke):
    """Files count by their content: here each of the workflow is newer than every result."""
    for part in PARTS:
        for path in [smoke / part, *(smoke / part).rglob("*")]:
            path.touch()
    assert asked_for(smoke) == set()


FROM_VALIDATION = {
    "validation",
    "observables",
    "summary",
    "figure",
    "snapshot",
    "record",
    "all",
    "total",
}
FROM_TRAINING = FROM_VALIDATION | {"training", "export"}
ALL = FROM_TRAINING | {
    "reference",
    "projection",
    "reference_observables",
    "training_part_observables",
}


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("module", "rules"),
    [
        ("plotting/overview.py", {"figure", "record", "all", "total"}),
        ("simulation/run.py", FROM_VALIDATION),
        ("training/train.py", FROM_TRAINING),
        ("systems/all_atom/segments.py", ALL),
    ],
)
def test_an_edited_module_reruns_the_rules_that_use_it(smoke, module, rules):
    """And those that need their results."""
    path = smoke / "scripts" / "dynmatch" / module
    before = path.read_bytes()
    path.write_bytes(before + b"# edited\n")
    try:
        assert asked_for(smoke) == rules
    finally:
        path.write_bytes(before)


@pytest.mark.workflow
def test_models_are_exported(smoke):
    for model in ("bd", "ld"):
        export = smoke / "results" / "smoke" / "water" / model / "seed-1" / "export"
        assert (export / "lammps" / "in.lammps").is_file()
        assert (export / "openmm" / "run_openmm.py").is_file()


@pytest.mark.workflow
def test_report_stands_alone_and_has_every_figure(smoke):
    """Nothing in it is loaded from elsewhere; every figure is embedded, with a caption."""
    call = snakemake(smoke, "smoke", "--report", str(smoke / "report.html"), workflow=smoke)
    assert call.returncode == 0, call.stdout
    page = (smoke / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["']https?:[^"']*\.(?:js|css|png)""", page)
    for figure in (smoke / "results" / "smoke" / "figures").glob("*.png"):
        assert figure.name in page
    assert "one standard error" in page
    assert "water_view.html" in page
    # it opens with the verdicts and the overview
    assert "water, ld: D ratio" in page
    assert re.search(r'alt=\\?"water_overview', page)
