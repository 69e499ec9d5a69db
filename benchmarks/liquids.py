"""Models of liquids of molecules, on all-atom references that are cut short."""

import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from snakemake.utils import update_config

from benchmarks import ROOT
from benchmarks.models import moved
from dynmatch.model import Model
from dynmatch.settings import PotentialSettings
from dynmatch.sites.trajectory import SiteTrajectory, read
from dynmatch.training.train import start_potential
from dynmatch.units import BOLTZMANN
from dynmatch.workflow.config import complete

PRESETS = ("methanol", "hexane")
SHORT = {
    "reference": {"replicas": 2, "equilibration": 20.0, "length": 40.0, "segment": 20.0},
    "training": {"lags": [1.0], "smoothing": 0.2, "gle": {"lags": [0.1]}},
    "validation": {"length": 50.0},
    "observables": {"structure_spacing": 0.2, "msd_length": 20.0, "van_hove_lags": [1.0, 5.0]},
}


def make(name: str) -> tuple[Model, SiteTrajectory]:
    """A Langevin model of preset `name` with the potential that its training starts from, and the
    last frame of the reference."""
    files = [ROOT / "config.yaml", ROOT / "presets" / f"{name}.yaml"]
    shorter = {"systems": {name: SHORT}}
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.yaml"
        short.write_text(yaml.safe_dump(shorter))
        projected = Path("results") / name / name / "projected.h5"
        command = [sys.executable, "-m", "snakemake", projected, "--cores", "2"]
        command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
        subprocess.run([*command, "--configfile", *files, short], check=True, capture_output=True)
        trajectory = read(Path(folder) / projected, velocities=False, forces=False)
    config = yaml.safe_load(files[-1].read_text())
    update_config(config, shorter)
    system = complete(config)["systems"][name]
    kT = BOLTZMANN * system["temperature"]
    potential = start_potential(trajectory, kT, PotentialSettings.of(system["potential"]))
    models = moved(trajectory, system, *potential)
    return models["ld"], trajectory.frames(slice(-1, None))
