"""Small models and where they start from."""

from dataclasses import replace

import jax
import numpy as np

from dynmatch.dynamics.base import Equation, Scale
from dynmatch.dynamics.registry import equation_of
from dynmatch.model import Model
from dynmatch.potentials.sum import Potential
from dynmatch.settings import TrainingSettings
from dynmatch.sites.topology import SiteTopology, independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import BOLTZMANN
from tests.helpers.fluids import fluid

TEMPERATURE = 300.0


def equation(dynamics: str, time_step: float) -> Equation:
    """The equation of motion of that name, otherwise as in the default settings."""
    settings = replace(getattr(TrainingSettings(), dynamics), time_step=time_step)
    return equation_of(dynamics).of(settings)


def scale(friction, mass, frequency, types: int = 1) -> Scale:
    """Friction (amu/ps), mass (amu) and frequency (1/ps), of each type or of all."""
    each = (mass, friction, frequency)
    return Scale(*(np.broadcast_to(np.asarray(x, float), types) for x in each))


def model_of(
    potential: Potential,
    parameters: dict,
    dynamics: str = "ld",
    time_step: float = 0.005,
    friction: tuple[float, ...] | float = 300.0,
    mass: tuple[float, ...] | float = 18.0,
    frequency: tuple[float, ...] | float = 12.0,
    **values,
) -> Model:
    """A model at 300 K with the start values that follow from `scale`, but for `values`, as far
    as the equation has them."""
    moved = equation(dynamics, time_step)
    begin = moved.initial(scale(friction, mass, frequency, len(potential.names)))
    known = {name: value for name, value in values.items() if name in moved.parameters}
    return Model(moved, begin | known, potential, parameters, TEMPERATURE)


def soft_model(dynamics: str = "ld", time_step: float = 0.005, friction: float = 300.0) -> Model:
    """A repulsive pair term with a weak three-body term."""
    potential = fluid(
        cores=0.2, kT=BOLTZMANN * TEMPERATURE, basis=20, channels=1, degree=1, hidden=(2,)
    )
    parameters = potential.initialise(jax.random.PRNGKey(1))
    return model_of(potential, parameters, dynamics, time_step, friction)


def grid(sites_per_edge: int, edge: float) -> SiteTrajectory:
    """Two frames of sites W on a cubic lattice that fills a box of `edge` (nm)."""
    x = (np.arange(sites_per_edge) + 0.5) * edge / sites_per_edge
    positions = np.stack(np.meshgrid(x, x, x), -1).reshape(-1, 3)
    topology = independent_sites(["W"] * len(positions), "SOL")
    return still(positions, topology, np.full(3, edge))


def still(positions: np.ndarray, topology: SiteTopology, box: np.ndarray) -> SiteTrajectory:
    """Two frames 0.1 ps apart of sites of 18 amu at positions (N, 3)."""
    frames = np.repeat(np.asarray(positions, np.float32)[None], 2, 0)
    masses = np.full(len(positions), 18.0)
    return SiteTrajectory(frames, np.array([0.0, 0.1]), masses, topology, box)
