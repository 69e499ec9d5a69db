"""The workflow as a module of another, from another folder: docs/how-to/module.md as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.rule_files import ROOT

PAGE = ROOT / "docs/how-to/module.md"
TINY = {
    "run": "tiny",
    "systems": {
        "fluid": {
            "kind": "known",
            "reference": {
                "dynamics": "bd",
                "sites": 8,
                "density": 4.0,
                "replicas": 2,
                "equilibration": 0.5,
                "length": 10.0,
                "frame_spacing": 0.05,
            },
            "training": {"lags": [0.1]},
            "validation": {"length": 10.0, "frame_spacing": 0.05},
            "observables": {"structure_spacing": 0.5, "msd_length": 2.0, "van_hove_lags": [0.5]},
        }
    },
}


@pytest.fixture(scope="module")
def importer(tmp_path_factory) -> Path:
    """A folder with the Snakefile of the page, and a config of its own."""
    folder = tmp_path_factory.mktemp("importer")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "Snakefile").write_text(code.replace("../dynmatch", str(ROOT)))
    (folder / "config.yaml").write_text(yaml.safe_dump(TINY))
    return folder


def snakemake(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *words]
    call = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert call.returncode == 0, call.stdout
    return call.stdout


def test_its_jobs_are_those_of_the_workflow(importer):
    told = snakemake(importer, "--dry-run")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", told, flags=re.MULTILINE))
    assert jobs["dynmatch_known_reference"] == jobs["dynmatch_training"] == "1"
    assert jobs["copy_summary"] == "1"
    assert int(jobs["dynmatch_figure"]) >= 8


def test_jobs_run_and_write_in_the_other_folder(importer):
    """Scripts, library and environment files are found from there."""
    table = "results/tiny/fluid/reference/observables/rdf.csv"
    snakemake(importer, table)
    assert (importer / table).read_text().startswith("r_nm,")
