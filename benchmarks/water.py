"""The water model that is timed, made from the reference data of a finished run."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import yaml

from benchmarks import ROOT
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.initial import mean_mass
from dynmatch.dynamics.registry import equation_of
from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.settings import PotentialSettings, TrainingSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory, read
from dynmatch.sites.windows import Windows, windows_of
from dynmatch.training.train import start_potential, structural_start
from dynmatch.units import BOLTZMANN
from dynmatch.workflow.config import complete

START_UPDATES = 200
D0 = 0.006
"""Near what water learns, nm^2/ps."""


@dataclass(frozen=True)
class Water:
    """Reference trajectory, the system's (complete) config, and a model with its structure."""

    trajectory: SiteTrajectory
    system: dict
    data: Windows
    model: Model


def make_water(run: Path) -> Water:
    """From `run`/water/projected.h5: a Langevin model after a short structural start.

    What is timed depends on the ranges and the structure of the model, not on how well its dynamics
    are trained: D0 is set.

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
    equation = equation_of("ld").of(settings.ld)
    values = equation.initial(Scale(mass, kT / D0 * np.ones(1), np.ones(1)))
    model = Model(equation, values, potential, jax.device_get(parameters), system["temperature"])
    return Water(trajectory, system, data, model)


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
