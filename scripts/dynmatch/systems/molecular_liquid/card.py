"""A liquid of molecules, as the workflow knows it."""

import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import cubic_edge
from dynmatch.systems import costs, liquid
from dynmatch.systems.base import Section, System


def sites(system: Section) -> int | None:
    """By the files of its molecules, where they are there and the sites are found in them."""
    found = _molecules(system)
    if found is None:
        return None
    whole, owner, counts = found
    try:
        numbers = [_made(whole, owner, each) for each in system["reference"]["sites"]]
    except DynmatchError:
        return None
    if not numbers:
        numbers = [_residues(whole, owner, range(whole.n_atoms))]
    return int(np.sum(numbers, 0) @ counts)


def seconds(system: Section) -> float | None:
    found = _molecules(system)
    if found is None:
        return None
    _, owner, counts = found
    atoms = int(np.bincount(owner) @ counts)
    return costs.of_reference(system["reference"], atoms) + costs.of_projection(
        system["reference"], atoms
    )


def edge(system: Section) -> float:
    """By the masses in the files of its force field; infinity where they are not there, or it is
    one that comes with OpenMM."""
    found, known = _molecules(system), _masses(system["reference"]["force_field"])
    if found is None:
        return math.inf
    whole, owner, counts = found
    first = {residue: next(residue.atoms).index for residue in whole.residues}
    if any(residue.name not in known for residue in first):
        return math.inf
    mass = sum(known[residue.name] * counts[owner[atom]] for residue, atom in first.items())
    return cubic_edge(mass, system["reference"]["density"])


def mapping(system: Section) -> str | list[dict]:
    return system["reference"]["sites"] or liquid.BY_RESIDUE


def conflicts(system: Section) -> Iterator[str]:
    yield from liquid.conflicts(system, edge(system), sites(system))
    found = _molecules(system)
    for number, definition in enumerate(system["reference"]["sites"] if found else []):
        try:
            _made(*found[:2], definition, f"reference.sites[{number}].atoms")
        except DynmatchError as error:
            yield str(error)


def _molecules(system: Section):
    """One molecule of each kind in one MDTraj topology, (n,) the number of each atom's kind, and
    the number of molecules of each kind; None where a file is not there or cannot be read."""
    # imported here: no other kind of system needs it for its card
    import mdtraj

    molecules = system["reference"]["molecules"]
    if not all(Path(each["file"]).is_file() for each in molecules):
        return None
    try:
        single = [mdtraj.load_topology(each["file"]) for each in molecules]
    except Exception:  # the parser raises whatever it stumbles over; the simulation says it
        return None
    whole = single[0]
    for other in single[1:]:
        whole = whole.join(other)
    owner = np.repeat(np.arange(len(single)), [each.n_atoms for each in single])
    return whole, owner, np.array([each["count"] for each in molecules])


def _made(whole, owner: np.ndarray, definition: Section, key: str = "") -> np.ndarray:
    """Number of sites that a definition makes in a molecule of each kind.

    Raises DynmatchError, naming `key`, for a selection of nothing.
    """
    from dynmatch.sites.selection import select

    if not isinstance(definition["atoms"], str):
        raise DynmatchError(
            f"{key}: numbers of atoms would name those of one molecule; give a selection, such as "
            "'name C O'"
        )
    return _residues(whole, owner, select(whole, definition["atoms"], key))


def _residues(whole, owner: np.ndarray, atoms) -> np.ndarray:
    """Number of residues in a molecule of each kind that the atoms are of."""
    first = {whole.atom(atom).residue.index: owner[atom] for atom in atoms}
    return np.bincount(list(first.values()), minlength=owner[-1] + 1)


def _masses(files: list[str]) -> dict[str, float]:
    """Of residues, amu, by their names, from those of the files that are there."""
    types, residues = {}, {}
    for file in files:
        if not Path(file).is_file():
            continue
        try:
            root = ElementTree.parse(file).getroot()
        except ElementTree.ParseError:
            continue
        types |= {each.get("name"): float(each.get("mass")) for each in root.iter("Type")}
        residues |= {each.get("name"): each for each in root.iter("Residue")}
    return {
        name: sum(types[atom.get("type")] for atom in residue.iter("Atom"))
        for name, residue in residues.items()
    }


CARD = System(
    label="AA",
    analysis="liquid",
    potential="dynmatch.settings.PotentialSettings",
    terms=("pair", "three_body", "bonded"),
    classifier="neighbours",
    box_of_atoms=True,
    several_types=True,
    no_forces="rigid bonds between its sites have forces that its reference does not hold",
    sites=sites,
    seconds=seconds,
    edge=edge,
    mapping=mapping,
    conflicts=conflicts,
)
