"""Water, as the workflow knows it."""

from collections.abc import Iterator

from dynmatch.systems import liquid
from dynmatch.systems.base import Section, System
from dynmatch.units import AMU_PER_NM3

MASS = 18.01528
"""Of a molecule, amu."""


def sites(system: Section) -> int:
    return system["reference"]["molecules"]


def edge(system: Section) -> float:
    mass = sites(system) * MASS
    return (mass * AMU_PER_NM3 / system["reference"]["density"]) ** (1 / 3)


def conflicts(system: Section) -> Iterator[str]:
    return liquid.conflicts(system, edge(system), sites(system))


CARD = System(
    label="AA",
    analysis="liquid",
    potential="dynmatch.settings.PotentialSettings",
    terms=("pair", "three_body"),
    classifier="neighbours",
    box_of_atoms=True,
    sites=sites,
    edge=edge,
    conflicts=conflicts,
)
