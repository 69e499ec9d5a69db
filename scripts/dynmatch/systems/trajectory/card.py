"""Trajectories of the user's own, as the workflow knows them."""

import math
import os
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
    ] or "one site per residue, at its centre of mass"


def found(system: Section) -> Section:
    return with_files(system, ["topology", "trajectories"])


def _identity(path: str) -> str | tuple[int, int]:
    """The same for all names of a file, links of both kinds included; a path where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def conflicts(system: Section) -> Iterator[str]:
    if len(system["reference"]["edges"]) not in (0, 3):
        yield "reference.edges needs three lengths, nm"
    files: dict[str | tuple[int, int], str] = {}
    for given in system["reference"]["trajectories"]:
        known = files.setdefault(_identity(given), given)
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
