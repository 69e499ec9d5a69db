"""The water model that is timed, made from the reference data of a finished run."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from benchmarks import ROOT
from benchmarks.models import moved
from dynmatch.dynamics.initial import mean_mass
from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.settings import PotentialSettings, TrainingSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory, read
from dynmatch.sites.windows import windows_of
from dynmatch.training.train import start_potential, structural_start
from dynmatch.units import BOLTZMANN
from dynmatch.workflow.config import complete

START_UPDATES = 200


@dataclass(frozen=True)
class Water:
    """Reference trajectory, the system's (complete) config, and a Langevin model with its
    structure; the same `with_memory`."""

    trajectory: SiteTrajectory
    system: dict
    model: Model
    with_memory: Model


def make_water(run: Path) -> Water:
    """From `run`/water/projected.h5: a Langevin model after a short structural start.

    Raises DynmatchError when the folder holds no finished projection.
    """
    path = run / "water" / "projected.h5"
    if not path.exists():
        raise DynmatchError(f"{path}: not there; name a results folder of a run that has finished")
    system = complete(yaml.safe_load((ROOT / "config.yaml").read_text()))["systems"]["water"]
    trajectory = read(path, velocities=False, forces=False)
    training = TrainingSettings.of(system["training"])
    settings = replace(training, start=replace(training.start, updates=START_UPDATES))
    kT = BOLTZMANN * system["temperature"]
    mass = mean_mass(trajectory)
    data = windows_of(trajectory, settings.lags, settings.smoothing)
    potential, parameters = start_potential(
        trajectory, kT, PotentialSettings.of(system["potential"])
    )
    parameters = structural_start(
        potential, parameters, trajectory.topology, data, mass, 0, settings, []
    )
    models = moved(trajectory, system, potential, parameters)
    return Water(trajectory, system, models["ld"], models["gle"])


def copied(positions: np.ndarray, box: np.ndarray, copies: int) -> np.ndarray:
    """Positions (F, N, 3), `copies` times along each edge of the box, copy after copy."""
    cells = np.array(list(itertools.product(range(copies), repeat=3))) * box
    return (positions[:, None] + cells[None, :, None]).reshape(len(positions), -1, 3)


def replicated(frame: SiteTrajectory, copies: int) -> SiteTrajectory:
    """The first frame of `frame`, `copies` times along each edge of the box."""
    box = np.asarray(frame.box)
    positions = copied(np.mod(frame.positions[:1], box), box, copies)
    count = positions.shape[1]
    return replace(
        frame.frames(slice(0, 1)),
        positions=positions.astype(np.float32),
        masses=np.tile(frame.masses, copies**3),
        topology=independent_sites(frame.topology.type_names * count, "SOL"),
        box=box * copies,
    )
