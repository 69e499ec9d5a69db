"""From settings to the game: the roll-out plan and the classifier's form."""

from dataclasses import replace

from dynmatch.dynamics.base import Equation
from dynmatch.dynamics.registry import equation_of
from dynmatch.dynamics.rollout import RolloutPlan, with_capacity
from dynmatch.potentials.sum import Potential
from dynmatch.settings import TrainingSettings
from dynmatch.sites.box import hashable
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.windows import Windows

MARGIN = 1.3
"""For neighbours of a site, over the most in the reference."""


def equation_for(dynamics: str, settings: TrainingSettings) -> Equation:
    """The equation of motion called `dynamics`, as the settings have it.

    Raises DynmatchError for an unknown name.
    """
    return equation_of(dynamics).of(getattr(settings, dynamics))


def make_plan(
    equation: Equation,
    potential: Potential,
    topology: SiteTopology,
    kT: float,
    data: Windows,
    settings: TrainingSettings,
) -> RolloutPlan:
    """The roll-out plan of the config's training section."""
    time_step = equation.time_step
    plan = RolloutPlan(
        equation=equation,
        potential=potential,
        topology=topology,
        kT=kT,
        box=hashable(data.box),
        lag_steps=tuple(round(lag / time_step) for lag in settings.lags),
        mean_steps=max(1, round(settings.smoothing / time_step)),
        learned=equation.carried,
    )
    if not potential.reach:
        # a molecule is small: what a step costs is the same for all windows together
        return replace(plan, chunk=settings.windows)
    return with_capacity(plan, data.some_frames(100), MARGIN)
