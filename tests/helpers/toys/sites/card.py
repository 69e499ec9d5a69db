"""Trajectories of sites that there are already, as the workflow knows them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from dynmatch.settings import PotentialSettings
from dynmatch.systems import liquid
from dynmatch.systems.base import Section, System


@dataclass(frozen=True)
class Softened(PotentialSettings):
    """`potential` of this kind: the keys of a liquid; its potential has a soft term."""

    start: ClassVar[str] = "dynmatch.bottom_up.soft_start"


def conflicts(system: Section) -> Iterator[str]:
    # the box is in the file
    return liquid.conflicts(system, math.inf)


CARD = System(
    label="reference",
    analysis="liquid",
    potential="dynmatch.systems.sites.card.Softened",
    terms=("pair", "three_body", "bonded", "soft"),
    classifier="neighbours",
    conflicts=conflicts,
)
