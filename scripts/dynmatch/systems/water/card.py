"""Water, as the workflow knows it."""

from collections.abc import Iterator

from dynmatch.sites.box import cubic_edge
from dynmatch.systems import costs, liquid
from dynmatch.systems.base import Section, System

MASS = 18.01528
"""Of a molecule, amu."""
ATOMS = {"tip4pew": 4, "tip4pfb": 4, "opc": 4, "tip5p": 5}
"""Of a molecule, where there are not three."""


def sites(system: Section) -> int:
    return system["reference"]["molecules"]


def seconds(system: Section) -> float:
    reference = system["reference"]
    atoms = ATOMS.get(reference["water_model"], 3) * sites(system)
    return costs.of_reference(reference, atoms) + costs.of_projection(reference, atoms)


def edge(system: Section) -> float:
    return cubic_edge(sites(system) * MASS, system["reference"]["density"])


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
    seconds=seconds,
    edge=edge,
    conflicts=conflicts,
)
