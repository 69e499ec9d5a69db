"""A molecule in a solvent, as the workflow knows it."""

from collections.abc import Iterator
from pathlib import Path

from dynmatch.systems import costs
from dynmatch.systems.base import Section, System
from dynmatch.systems.paths import with_files

KEYS_OF_OWN = ("topology", "trajectories", "frame_spacing", "sites")
"""Of the reference, with trajectories of the user's own."""


def sites(system: Section) -> int:
    return len(system["reference"]["sites"])


def seconds(system: Section) -> float | None:
    """By the atoms that its PDB file counts, where it is simulated and the file is there."""
    reference = system["reference"]
    path = Path(reference["topology"])
    if "length" not in reference or not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    atoms = sum(line.startswith(("ATOM", "HETATM")) for line in lines)
    return costs.of_reference(reference, atoms) + costs.of_projection(reference, atoms)


def mapping(system: Section) -> list[dict]:
    return system["reference"]["sites"]


def found(system: Section) -> Section:
    """Either the keys of a simulation, or those of trajectories of the user's own."""
    system = with_files(system, ["topology", "trajectories"])
    reference = system["reference"]
    if reference["trajectories"]:
        return {**system, "reference": {key: reference[key] for key in KEYS_OF_OWN}}
    simulated = {key: value for key, value in reference.items() if key != "trajectories"}
    return {**system, "reference": simulated}


def conflicts(system: Section) -> Iterator[str]:
    if system["training"]["start"]["updates"]:
        yield (
            "training.start.updates must be 0 for a molecule, which starts from the free energy of "
            "its torsions"
        )


CARD = System(
    label="AA",
    analysis="molecule",
    potential="dynmatch.settings.MoleculePotentialSettings",
    terms=("bonded", "torsional"),
    classifier="torsions",
    no_forces="the reference of a molecule is kept without forces",
    sites=sites,
    seconds=seconds,
    mapping=mapping,
    found=found,
    conflicts=conflicts,
)
