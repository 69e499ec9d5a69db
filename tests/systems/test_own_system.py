"""The example of docs/own-system.md: methanol from its own trajectory to figures, cut short."""

import os
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pandas as pd
import pytest
import yaml

from dynmatch.sites.box import minimum_image
from dynmatch.sites.trajectory import read
from tests.helpers.rule_files import ROOT

EXAMPLE = ROOT / "examples" / "methanol"
SHORT = {
    "models": ["ld"],
    "systems": {
        "methanol": {
            "potential": {
                "cutoff": 0.6,
                "three_body_cutoff": 0.4,
                "hidden": [],
                "radial_channels": 1,
                "degree": 1,
            },
            "training": {
                "lags": [1.0],
                "start": {"updates": 3, "replicas": 1},
                "updates": 2,
                "windows": 2,
                "aa_windows": 4,
                "rates": {"dynamics": 0.001},
            },
            "validation": {"length": 40.0, "equilibration": 1.0},
            "observables": {
                "structure_spacing": 0.2,
                "msd_length": 20.0,
                "van_hove_lags": [1.0, 5.0],
            },
        }
    },
}
"""What makes a minute of it: less to compile, for the most part."""
TARGETS = [
    "results/methanol/summary.csv",
    "results/methanol/figures/methanol_sites.png",
    "results/methanol/methanol/ld/seed-1/export",
]


def test_the_page_shows_what_the_example_says():
    page = (ROOT / "docs" / "own-system.md").read_text()
    shown = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    full = yaml.safe_load((EXAMPLE / "methanol.yaml").read_text())
    assert shown["run"] == full["run"]
    system = full["systems"]["methanol"]
    assert shown["systems"]["methanol"] == {
        key: system[key] for key in shown["systems"]["methanol"]
    }


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Results of the example with 27 molecules and a few updates, from nothing."""
    folder = tmp_path_factory.mktemp("methanol")
    simulate = [sys.executable, EXAMPLE / "simulate.py", "results/methanol_atoms"]
    simulate += ["--molecules", "27", "--length", "40", "--equilibration", "10"]
    subprocess.run(simulate, cwd=folder, check=True)
    short = folder / "short.yaml"
    short.write_text(yaml.safe_dump(SHORT))
    command = [sys.executable, "-m", "snakemake", *TARGETS, "--cores", "2"]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--configfile"]
    command += [ROOT / "config.yaml", EXAMPLE / "methanol.yaml", short]
    call = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert call.returncode == 0, call.stdout[-5000:]
    return folder / "results" / "methanol"


@pytest.mark.workflow
def test_the_summary_has_every_pair_of_types(example):
    summary = pd.read_csv(example / "summary.csv")
    metrics = summary[summary.model == "ld"].set_index(["observable", "metric"])
    for pair in ("", " ME-ME", " ME-OH", " OH-OH"):
        row = metrics.loc[("rdf", f"mae{pair}")]
        assert row.value > 0
        assert row.error > 0


@pytest.mark.workflow
def test_bonds_keep_the_length_of_the_reference(example):
    """Rigid in the reference, of a thermal width of 0.015 nm in the model: means within 5 %."""
    tables = [
        pd.read_csv(example / "methanol" / folder / "observables" / "bonded.csv")
        for folder in ("reference", "ld/seed-1")
    ]
    means = [np.average(table.value, weights=table.density) for table in tables]
    assert means[1] == pytest.approx(means[0], rel=0.05)
    assert (example / "figures" / "methanol_sites.png").exists()


@pytest.mark.workflow
def test_each_type_has_a_friction_and_a_mass(example):
    """Masses near those they start from, after two updates at a low rate."""
    model = yaml.safe_load((example / "methanol" / "ld" / "seed-1" / "model.yaml").read_text())
    assert set(model["types"]) == {"ME", "OH"}
    assert [(site["name"], site["atoms"]) for site in model["mapping"]] == [
        ("ME", "name C"),
        ("OH", "name O H"),
    ]
    masses = [model["types"][name]["mass_over_alpha2"] for name in ("ME", "OH")]
    assert masses == pytest.approx([15.035, 17.007], rel=0.2)


@pytest.mark.workflow
def test_the_exported_model_runs_in_openmm(example):
    export = example / "methanol" / "ld" / "seed-1" / "export"
    assert not (export / "not-written.txt").exists()
    call = subprocess.run(
        [sys.executable, "openmm/run_openmm.py", "1"],
        cwd=export,
        env=os.environ | {"PYTHONPATH": str(ROOT / "scripts")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert call.returncode == 0, call.stdout[-2000:]
    frames = mdtraj.load(
        export / "openmm" / "trajectory.dcd", top=export / "openmm" / "initial.pdb"
    )
    assert len(frames) == 2
    assert np.isfinite(frames.xyz).all()


@pytest.mark.workflow
def test_the_exported_model_runs_in_lammps(example):
    """With the bond of our own run: its mean within 2 %, some three errors of 50 correlated frames,
    and its width, which a spring wrong by a factor of two would change by 40 %, within 20 %."""
    seed = example / "methanol" / "ld" / "seed-1"
    folder = seed / "export" / "lammps"
    command = [Path(sys.prefix) / "bin" / "lmp", "-in", "in.lammps", "-screen", "none"]
    subprocess.run(
        [*command, "-var", "steps", "1000", "-var", "every", "20"], cwd=folder, check=True
    )
    ours = read(seed / "trajectory.h5")
    frames = mdtraj.load(
        folder / "trajectory.lammpstrj", top=ours.topology.to_mdtraj(), unit_set="real"
    )
    bonds = np.array(ours.topology.bonds)
    found, wanted = (
        np.linalg.norm(minimum_image(x[:, bonds[:, 1]] - x[:, bonds[:, 0]], ours.box), axis=-1)
        for x in (frames.xyz[10:], ours.positions[::20])
    )
    assert found.mean() == pytest.approx(wanted.mean(), rel=0.02)
    assert found.std() == pytest.approx(wanted.std(), rel=0.2)
