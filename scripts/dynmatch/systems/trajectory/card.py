"""Trajectories of the user's own, as the workflow knows them."""

import math
from collections.abc import Iterator

from dynmatch.systems import liquid
from dynmatch.systems.base import Section, System
from dynmatch.systems.paths import with_files

HOW_TO_READ = ("molecules", "periodic", "box", "edges", "bonds", "lammps_units")
"""Keys of the reference that `projection.project_own` takes by their own names."""


def mapping(system: Section) -> str | list[dict]:
    reference = system["reference"]
    return [
        *reference["molecules"],
        *reference["sites"],
    ] or liquid.BY_RESIDUE


def found(system: Section) -> Section:
    return with_files(system, ["topology", "trajectories"])


def conflicts(system: Section) -> Iterator[str]:
    if len(system["reference"]["edges"]) not in (0, 3):
        yield "reference.edges needs three lengths, nm"
    # the box is in the files
    yield from liquid.conflicts(system, math.inf)


CARD = System(
    label="AA",
    analysis="liquid",
    potential="dynmatch.settings.PotentialSettings",
    terms=("pair", "three_body", "bonded"),
    classifier="neighbours",
    several_types=True,
    mapping=mapping,
    found=found,
    conflicts=conflicts,
)
