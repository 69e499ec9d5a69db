"""Trajectories of the user's own, as the workflow knows them."""

import math
import os
from collections.abc import Iterator

from dynmatch.errors import DynmatchError
from dynmatch.systems import liquid
from dynmatch.systems.base import Section, System
from dynmatch.systems.trajectory.paths import expanded


def mapping(system: Section) -> str | list[dict]:
    reference = system["reference"]
    return [
        *reference["molecules"],
        *reference["sites"],
    ] or "one site per residue, at its centre of mass"


def found(system: Section) -> Section:
    """The section with the files that its patterns stand for."""
    reference = dict(system["reference"])
    for key in ("topology", "trajectories"):
        given = reference[key]
        try:
            if isinstance(given, str):
                (reference[key],) = expanded(given)
            else:
                reference[key] = [path for pattern in given for path in expanded(pattern)]
        except (DynmatchError, ValueError) as error:
            told = error if isinstance(error, DynmatchError) else f"{given} is several files"
            raise DynmatchError(f"reference.{key}: {told}") from None
    return {**system, "reference": reference}


def conflicts(system: Section) -> Iterator[str]:
    if len(system["reference"]["edges"]) not in (0, 3):
        yield "reference.edges needs three lengths, nm"
    files: dict[str, str] = {}
    for given in system["reference"]["trajectories"]:
        known = files.setdefault(os.path.realpath(given), given)
        if known is not given:
            yield (
                f"reference.trajectories: {known} and {given} are one file; each file is a run of "
                "its own, give it once"
            )
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
