"""One molecule mapped, and its mapping repeated over all molecules of its kind.

A bead may span residues, and a molecule may be many of them: what belongs together is told by bonds
or, where the topology has none, by the number of atoms of a molecule.
"""

from collections.abc import Mapping, Sequence

import mdtraj
import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.sites.selection import select
from dynmatch.sites.topology import parts_of


def molecules_of(topology: mdtraj.Topology, definition: Mapping, where: str) -> np.ndarray:
    """(M, n) atoms of the molecules that `definition` is of, in the order of the topology.

    definition  with `select`, atoms in MDTraj's language, and `size`, the number of atoms of a
                molecule, which then follow one another; 0 for what bonds hold together

    Raises DynmatchError, naming the key, where molecules differ in their atoms' names.
    """
    atoms = select(topology, definition["select"], f"{where}.select")
    size = definition["size"]
    if size:
        if len(atoms) % size:
            raise DynmatchError(
                f"{where}.size: {len(atoms)} atoms are no whole number of molecules of {size}"
            )
        groups = list(atoms.reshape(-1, size))
    else:
        groups = _by_bonds(topology, atoms)
    names = [tuple(topology.atom(a).name for a in group) for group in groups]
    for number, found in enumerate(names):
        if found != names[0]:
            raise DynmatchError(
                f"{where}: molecule {number} has the atoms {' '.join(found)[:80]}, and the first "
                f"{' '.join(names[0])[:80]}; select molecules of one kind, and give size where the "
                "topology has no bonds"
            )
    return np.array(groups)


def _by_bonds(topology: mdtraj.Topology, atoms: np.ndarray) -> list[np.ndarray]:
    part = parts_of(topology.n_atoms, [(a.index, b.index) for a, b in topology.bonds])[atoms]
    groups = {}
    for number, atom in zip(part.tolist(), atoms, strict=True):
        groups.setdefault(number, []).append(atom)
    return [np.array(group) for group in groups.values()]


def site_definitions(
    topology: mdtraj.Topology, definition: Mapping, where: str
) -> list[tuple[Mapping, np.ndarray]]:
    """The sites of all molecules: for each, its definition and its atoms.

    definition  as the config's `molecules`: select, size, sites and bonds; atoms of a site are
                named, counted from 0 within the molecule, or, as in VOTCA, named by the number
                (from 1) and name of their residue and their own, 1:HEX:C1
    """
    molecules = molecules_of(topology, definition, where)
    names = _names(topology, molecules[0])
    places = [
        [_place(atom, names, f"{where}.sites[{number}].atoms") for atom in site["atoms"]]
        for number, site in enumerate(definition["sites"])
    ]
    return [
        (site, molecule[place])
        for molecule in molecules
        for site, place in zip(definition["sites"], places, strict=True)
    ]


def bonds_of(
    topology: mdtraj.Topology, molecules: Sequence[Mapping], where: str
) -> list[tuple[int, int]]:
    """Pairs of atoms whose sites the `molecules` of a config bond, beside those that the topology
    does: the first atoms of the sites.

    Raises DynmatchError, naming the key, for sites that there are not.
    """
    made = []
    for number, definition in enumerate(molecules):
        if not definition["bonds"]:
            continue
        here = f"{where}.molecules[{number}]"
        atoms = [group[0] for _, group in site_definitions(topology, definition, here)]
        count = len(definition["sites"])
        for first, second in definition["bonds"]:
            if max(first, second) >= count or first == second:
                raise DynmatchError(
                    f"{here}.bonds: there are no sites {first} and {second} to bond"
                )
            made += zip(atoms[first::count], atoms[second::count], strict=True)
    return made


def _names(topology: mdtraj.Topology, molecule: np.ndarray) -> list[tuple[str, str]]:
    """Of each atom, its own, and that with its residue's number and name."""
    atoms = [topology.atom(a) for a in molecule]
    numbers = {n: place for place, n in enumerate(dict.fromkeys(a.residue.index for a in atoms), 1)}
    return [
        (atom.name, f"{numbers[atom.residue.index]}:{atom.residue.name}:{atom.name}")
        for atom in atoms
    ]


def _place(atom: str | int, names: Sequence[tuple[str, str]], where: str) -> int:
    if isinstance(atom, int):
        if atom >= len(names):
            raise DynmatchError(f"{where}: there is no atom {atom} in a molecule of {len(names)}")
        return atom
    found = [place for place, both in enumerate(names) if atom in both]
    if len(found) != 1:
        raise DynmatchError(
            f"{where}: {len(found)} atoms of the molecule are called {atom}; count them from 0 "
            "instead"
        )
    return found[0]
