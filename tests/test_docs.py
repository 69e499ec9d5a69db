"""Commands and examples of the documentation are run as they stand."""

import os
import re
import sys
from dataclasses import replace

import pytest
from rule_files import ROOT
from test_simulation import grid, soft_model

from dynmatch import trajectory
from dynmatch.export import lammps, openmm_files
from dynmatch.model import save


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results tree of a run with a trained model, as far as the examples need it."""
    root = tmp_path_factory.mktemp("docs")
    folder = root / "results/laptop/water/ld/seed-1"
    folder.mkdir(parents=True)
    start, model = grid(4, 1.25), soft_model("ld", 0.0125)
    trajectory.write(root / "results/laptop/water/projected.h5", start)
    linear = replace(model.form, hidden=())
    network = {"params": {"Dense_0": model.parameters["network"]["params"]["Dense_0"]}}
    model = replace(model, form=linear, parameters=model.parameters | {"network": network})
    save(folder / "model.yaml", folder / "model.npz", model, {})
    lammps.write(folder / "export/lammps", model, start, "test")
    openmm_files.write(folder / "export/openmm", model, start)
    (root / ".venv").symlink_to(sys.prefix)
    return root


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def test_examples_of_the_python_interface(results, monkeypatch):
    monkeypatch.chdir(results)
    names = {}
    for block in blocks("api.md", "python"):
        exec(compile(block, "docs/api.md", "exec"), names)
    assert names["trajectory"].n_frames == 201
    assert names["forces"].shape == (64, 3)


@pytest.mark.parametrize("engine", ["lmp", "run_openmm.py"])
def test_commands_that_run_an_exported_model(results, engine):
    """As typed after `make figures`, but for a shorter LAMMPS run."""
    (block,) = (b for b in blocks("export.md", "sh") if engine in b and "pip" not in b)
    block = block.replace("steps 8000", "steps 80").replace("run_openmm.py 10", "run_openmm.py 1")
    assert os.system(f"cd {results} && ({block})") == 0
    folder = results / "results/laptop/water/ld/seed-1/export"
    written = {"lmp": "lammps/trajectory.lammpstrj", "run_openmm.py": "openmm/trajectory.dcd"}
    assert (folder / written[engine]).stat().st_size > 1000
