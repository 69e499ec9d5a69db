"""Models that are timed. What that depends on are ranges, bonds and structure, not how well the
dynamics are trained, so D0 is set."""

import jax
import numpy as np

from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.initial import mean_mass
from dynmatch.model import Model
from dynmatch.potentials.sum import Potential
from dynmatch.settings import TrainingSettings
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.training.plan import equation_for
from dynmatch.units import BOLTZMANN

D0 = 0.006
"""Near what water learns, nm^2/ps."""
FREQUENCY = 20.0
"""Near that of water's force on a site, 1/ps."""


def moved(
    trajectory: SiteTrajectory, system: dict, potential: Potential, parameters: dict
) -> dict[str, Model]:
    """Models of the sites of `trajectory`, by their dynamics, all with the same potential."""
    temperature, settings = system["temperature"], TrainingSettings.of(system["training"])
    each = np.ones(len(potential.names))
    mass, friction = mean_mass(trajectory), BOLTZMANN * temperature / D0
    scale = Scale(mass, friction * each, FREQUENCY * each)
    rest = potential, jax.device_get(parameters), temperature
    equations = {name: equation_for(name, settings) for name in ("ld", "gle")}
    return {name: Model(e, e.initial(scale), *rest) for name, e in equations.items()}
