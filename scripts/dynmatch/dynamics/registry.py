"""Equations of motion by name: what is known of them without importing JAX.

To add one, write its module and give it a card here (docs/extending.md). Names stand here, not
imports: a rule reruns with the modules of the dynamics that it trains, and with no other.
"""

import importlib
from dataclasses import dataclass

from dynmatch.errors import DynmatchError


@dataclass(frozen=True)
class Card:
    """An equation of motion, as config, figures and summary know it.

    module      the dotted name of its module, which has a class `Equation`
    label       of its models in figures
    title       of its models in text
    velocities  whether its trajectories have velocities
    memory      whether its models have a memory kernel, by the columns of `kernel.Kernel`
    least_steps that a lag of the training has: n Leimkuhler-Matthews steps, for one, move a free
                site by 6 D0 (n - 1/2) dt only
    """

    module: str
    label: str
    title: str
    velocities: bool
    memory: bool = False
    least_steps: int = 1


DYNAMICS = {
    "bd": Card("dynmatch.dynamics.brownian", "BD", "Brownian", velocities=False, least_steps=20),
    "ld": Card("dynmatch.dynamics.langevin", "LD", "Langevin", velocities=True),
    "gle": Card(
        "dynmatch.dynamics.memory", "GLE", "generalised Langevin", velocities=True, memory=True
    ),
}


def card_of(name: str) -> Card:
    """The card of the dynamics called `name`.

    Raises DynmatchError, with the names that there are, for any other.
    """
    if name not in DYNAMICS:
        known = ", ".join(DYNAMICS)
        raise DynmatchError(f"dynamics {name!r} is unknown; there are {known}")
    return DYNAMICS[name]


def dynamics_of(model: str) -> str:
    """Name of the dynamics that moves a model: a trained one, which is called after it, or a
    baseline, METHOD_DYNAMICS_FRICTION."""
    return model if model in DYNAMICS else model.split("_")[1]


def equation_of(name: str) -> type:
    """The class of the dynamics called `name`, see `dynamics.base.Equation`.

    Raises DynmatchError for an unknown name.
    """
    return importlib.import_module(card_of(name).module).Equation
