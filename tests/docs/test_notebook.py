"""The notebook runs from its first cell to its last, and none of its outputs is kept."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from dynmatch.api import TrainedModel
from dynmatch.model_file import save
from dynmatch.observables.msd import msd
from dynmatch.observables.rdf import rdf
from dynmatch.sites import trajectory
from tests.helpers.models import grid, soft_model
from tests.helpers.rule_files import ROOT

NOTEBOOK = ROOT / "docs" / "model.ipynb"


@pytest.fixture(scope="module")
def docs(tmp_path_factory) -> Path:
    """The folder docs/ of a clone with the results that the notebook reads, a network's."""
    root = tmp_path_factory.mktemp("clone")
    system = root / "results/laptop/water"
    folder, tables = system / "ld/seed-1", system / "reference/observables"
    for each in (root / "docs", folder, tables):
        each.mkdir(parents=True)
    model, start = soft_model("ld", 0.0125), grid(4, 1.25)
    save(folder / "model.yaml", folder / "model.npz", model, start.topology, {})
    run = TrainedModel(model).simulate(start, length=20.0, frame_spacing=0.1)
    trajectory.write(system / "projected.h5", run)
    rdf(run, 0.01).to_csv(tables / "rdf.csv", index=False)
    msd(run, 10.0).to_csv(tables / "msd.csv", index=False)
    return root / "docs"


def test_every_cell_runs_and_every_plot_is_drawn(docs, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "scripts"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = {"metadata": {"path": str(docs)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    (printed,) = (each["text"] for each in outputs if each.get("name") == "stdout")
    assert "D0 = 0.00831 nm^2/ps at 300 K" in printed  # kB T alpha/gamma


def test_no_output_is_kept():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)
