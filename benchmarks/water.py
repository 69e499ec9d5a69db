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
from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.settings import PotentialSettings, TrainingSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory, read
from dynmatch.sites.windows import windows_of
from dynmatch.training.plan import equation_for
from dynmatch.training.train import start_potential, structural_start
from dynmatch.units import BOLTZMANN
from dynmatch.workflow.config import complete

START_UPDATES = 200
D0 = 0.006
"""Near what water learns, nm^2/ps."""
SPACING = 0.5
"""Between the frames that training is timed with, ps."""
FRAMES = 1000


@dataclass(frozen=True)
class Water:
    """Reference trajectory, the system's (complete) config, the settings of a Langevin training,
    and a model with the reference's structure."""

    trajectory: SiteTrajectory
    system: dict
    training: TrainingSettings
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
    settings = TrainingSettings.of(system["training"]).of_dynamics("ld")
    short = replace(settings, start=replace(settings.start, updates=START_UPDATES))
    kT, mass = BOLTZMANN * system["temperature"], mean_mass(trajectory)
    form, parameters = start_potential(trajectory, kT, PotentialSettings.of(system["potential"]))
    data, topology = windows_of(trajectory, settings.lags), trajectory.topology
    parameters = structural_start(form, parameters, topology, data, mass, 0, short, [])
    equation = equation_for("ld", settings)
    values = equation.initial(Scale(mass, np.full(1, kT / D0), mass))
    model = Model(equation, values, form, jax.device_get(parameters), system["temperature"])
    return Water(trajectory, system, settings, model)


def copied(positions: np.ndarray, box: np.ndarray, copies: int) -> np.ndarray:
    """Positions (F, N, 3), `copies` times along each edge of the box, copy after copy."""
    cells = np.array(list(itertools.product(range(copies), repeat=3))) * box
    return (positions[:, None] + cells[None, :, None]).reshape(len(positions), -1, 3)


def copied_reference(trajectory: SiteTrajectory, copies: int) -> SiteTrajectory:
    """`FRAMES` of its frames about `SPACING` apart, each in a box of `copies` along each edge."""
    stride = max(1, round(SPACING / trajectory.frame_spacing))
    frames = trajectory.replicas()[0].frames(slice(None, FRAMES * stride, stride))
    return _in_copies(frames, np.asarray(frames.positions), copies)


def replicated(frame: SiteTrajectory, copies: int) -> SiteTrajectory:
    """The first frame of `frame`, `copies` times along each edge of the box."""
    first = frame.frames(slice(0, 1))
    return _in_copies(first, np.mod(first.positions, np.asarray(frame.box)), copies)


def _in_copies(frames: SiteTrajectory, positions: np.ndarray, copies: int) -> SiteTrajectory:
    box = np.asarray(frames.box)
    positions = copied(positions, box, copies)
    return replace(
        frames,
        positions=positions.astype(np.float32),
        masses=np.tile(frames.masses, copies**3),
        topology=independent_sites(["W"] * positions.shape[1], "SOL"),
        box=box * copies,
    )
