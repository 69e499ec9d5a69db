"""A molecule in a solvent, as the workflow knows it."""

from collections.abc import Iterator

from dynmatch.systems.base import Section, System


def sites(system: Section) -> int:
    return len(system["reference"]["sites"])


def mapping(system: Section) -> list[dict]:
    return system["reference"]["sites"]


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
    mapping=mapping,
    conflicts=conflicts,
)
