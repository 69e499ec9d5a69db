"""What the workflow asks of a kind of system: strings and arithmetic, nothing is simulated here."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Section = Mapping[str, Any]
"""A system in the completed config, `systems.{name}`."""


def _unknown(system: Section) -> None:
    return None


def _unbounded(system: Section) -> float:
    return math.inf


def _as_they_are(system: Section) -> str:
    return "one site per molecule or input site, at its centre of mass"


def _as_it_is(system: Section) -> Section:
    return system


def _no_conflicts(system: Section) -> Iterator[str]:
    return iter(())


def _of_the_run(system: Section, models: list[str]) -> list[str]:
    return models


@dataclass(frozen=True)
class System:
    """A kind of system, as config, rules, figures and summary know it.

    label          of its reference in figures
    analysis       what is computed of its trajectories, see `observables.registry.ANALYSES`
    potential      dotted name of the settings of its potential
    terms          kinds of the terms of its potential, see `potentials.registry`
    classifier     that its training plays against, see `training.classifiers.registry`
    box_of_atoms   whether its reference is a box of atoms, which can be shown
    several_types  whether its sites may be of several types
    no_forces      why its reference has no forces; nothing where it has

    Functions of a system in the completed config:

    sites          number of its sites, None where the trajectory alone tells it
    seconds        of one core that its reference and what is made of it take, see `systems.costs`;
                   None where that is not known
    edge           edge of its cubic box, nm; infinity where the config does not tell it
    mapping        what its sites are, for the record of its models
    found          the section with its files, where it has patterns of their paths; raises
                   DynmatchError, naming the key, where none fits
    conflicts      keys that contradict each other, one line each, relative to the system's path
    dynamics       names of the dynamics that are trained on it, of it and those of the run
    truth          true values of what training can identify, by the names of model.yaml; None where
                   they are not known
    """

    label: str
    analysis: str
    potential: str
    terms: tuple[str, ...]
    classifier: str
    box_of_atoms: bool = False
    several_types: bool = False
    no_forces: str = ""
    sites: Callable[[Section], int | None] = _unknown
    seconds: Callable[[Section], float | None] = _unknown
    edge: Callable[[Section], float] = _unbounded
    mapping: Callable[[Section], str | list[dict]] = _as_they_are
    found: Callable[[Section], Section] = _as_it_is
    conflicts: Callable[[Section], Iterator[str]] = _no_conflicts
    dynamics: Callable[[Section, list[str]], list[str]] = _of_the_run
    truth: Callable[[Section], dict[str, float] | None] = _unknown


def values_at(system: Section, key: str) -> list[tuple[str, float]]:
    """The value at a dotted key, or each one of a list there, with its path; [] where absent."""
    value = system
    for part in key.split("."):
        value = value.get(part, {})
    if isinstance(value, list):
        return [(f"{key}[{i}]", item) for i, item in enumerate(value)]
    return [(key, value)] if value else []


def baselines_of(system: Section) -> list[str]:
    """Baseline models of a system: method and dynamics, joined by _."""
    baselines = system.get("baselines", {"methods": [], "dynamics": []})
    return [
        f"{method}_{dynamics}"
        for method in baselines["methods"]
        for dynamics in baselines["dynamics"]
    ]
