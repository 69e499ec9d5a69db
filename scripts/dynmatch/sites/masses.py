"""What the atoms of a topology weigh, as far as it can be known.

Many files name no elements, and readers take the first letter of a name for one: sodium becomes
nitrogen, chlorine carbon. An atom alone in a residue that is named like an element is that ion.
Other atoms whose element may be another than the first letter are not known.
"""

import re
from typing import NamedTuple

import mdtraj
import numpy as np
from mdtraj.core.element import Element

IONS = {
    "SOD": "Na",
    "CLA": "Cl",
    "POT": "K",
    "LIT": "Li",
    "RUB": "Rb",
    "CES": "Cs",
    "CAL": "Ca",
    "BAR": "Ba",
    "CAD": "Cd",
    "IOD": "I",
}
"""CHARMM's names of ions that are not those of their elements."""
TWO_LETTERS = ("Al", "Br", "Cl", "Cu", "Fe", "Li", "Mg", "Mn", "Na", "Ni", "Se", "Si", "Ti", "Zn")
"""Elements that an atom's name of two letters may mean; CA, CD, CE, HG, HO seldom do."""


class Masses(NamedTuple):
    """value (n,), amu, 0 of virtual sites; unknown (n,), whether it is not known; united (n,),
    whether an atom may stand for hydrogens that the topology does not have."""

    value: np.ndarray
    unknown: np.ndarray
    united: np.ndarray


def masses_of(topology: mdtraj.Topology, stated: np.ndarray | None = None) -> Masses:
    """Of all atoms. Carbons of a residue without hydrogens, and the oxygen of such a water, may be
    united atoms.

    stated  (n,), amu, masses that a file gives, which are believed; NaN where it gives none
    """
    elements, united = [], []
    for residue in topology.residues:
        atoms = list(residue.atoms)
        found = [_ion(residue)] if len(atoms) == 1 else [None]
        if found[0] is None:
            trusted = residue.is_protein or residue.is_nucleic
            found = [atom.element if trusted else _element(atom) for atom in atoms]
        elements += found
        bare = not any(element is not None and element.symbol == "H" for element in found)
        heavy = {"C", "O"} if residue.is_water else {"C"}
        united += [bare and element is not None and element.symbol in heavy for element in found]
    value = np.array([0.0 if element is None else element.mass for element in elements])
    unknown = np.array([element is None for element in elements], bool)
    found = Masses(value, unknown, np.array(united, bool))
    if stated is None:
        return found
    given = np.isfinite(stated)
    return Masses(np.where(given, stated, value), unknown & ~given, found.united & ~given)


def _ion(residue: mdtraj.core.topology.Residue) -> Element | None:
    """The element of the only atom of a residue, where both are named like it."""
    (atom,) = residue.atoms
    named = _named(residue.name)
    return named if named is not None and named == _named(atom.name) else None


def _named(name: str) -> Element | None:
    letters = re.sub("[^A-Za-z]", "", name)
    symbol = IONS.get(letters.upper(), letters.capitalize())
    try:
        return Element.getBySymbol(symbol)
    except KeyError:
        return None


def _element(atom: mdtraj.core.topology.Atom) -> Element | None:
    """That of the topology, unless the name may mean another than the one it begins with."""
    letters = re.sub("[^A-Za-z]", "", atom.name).capitalize()
    if atom.element is not None and letters in TWO_LETTERS and atom.element.symbol == letters[0]:
        return None
    return atom.element
