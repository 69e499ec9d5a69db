"""Trajectories of sites that there are already, in a wave, as the workflow knows them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from dynmatch.settings import PotentialSettings
from dynmatch.systems import liquid
from dynmatch.systems.base import Section, System


@dataclass(frozen=True)
class InWave(PotentialSettings):
    """`potential` of this kind: the keys of a liquid; it starts with a wave beside its terms."""

    start: ClassVar[str] = "dynmatch.bottom_up.wave_start"


def conflicts(system: Section) -> Iterator[str]:
    # the box is in the file
    return liquid.conflicts(system, math.inf)


CARD = System(
    label="reference",
    analysis="liquid",
    potential="dynmatch.systems.sites.card.InWave",
    terms=("pair", "three_body", "bonded", "wave"),
    classifier="neighbours",
    conflicts=conflicts,
)
