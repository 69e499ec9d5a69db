"""What a user's topology files say of the atoms: names, residues, elements, bonds, masses."""

import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import mdtraj
import numpy as np
from mdtraj.core.element import Element

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import lengths_and_angles
from dynmatch.sites.topology import parts_of
from dynmatch.systems.trajectory.formats import suffix, topology_format

# when it is imported, it warns that another library would write NetCDF faster
logging.getLogger("MDAnalysis").setLevel(logging.ERROR)

import MDAnalysis  # noqa: E402

logger = logging.getLogger(__name__)

ELEMENT = 0.012
"""How far, amu, a mass may be off that of an element and still say which it is; a CH2 group is 0.02
off nitrogen."""
COLUMNS = {
    "atomic": "id type x y z",
    "charge": "id type charge x y z",
    "bond": "id resid type x y z",
    "angle": "id resid type x y z",
    "molecular": "id resid type x y z",
    "full": "id resid type charge x y z",
}
"""Columns of LAMMPS's atom styles, as MDAnalysis takes them."""


class Atoms(NamedTuple):
    """topology of n atoms; masses (n,), amu, as far as the files state them, NaN where they do
    not; files, as messages name them."""

    topology: mdtraj.Topology
    masses: np.ndarray
    files: str = "that was given"

    @property
    def bonds(self) -> list[tuple[int, int]]:
        return [(a.index, b.index) for a, b in self.topology.bonds]


def several(files: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """Files of which one may be given by itself."""
    return [files] if isinstance(files, str | Path) else list(files)


def read_atoms(files: str | Path | Sequence[str | Path], where: str = "reference") -> Atoms:
    """Of several files of the same atoms, names and residues are those of the first; bonds and
    masses are those of the first that has any.

    Raises DynmatchError, naming the file, for what cannot be read, or is of other atoms.
    """
    paths = several(files)
    read = [_read(path, where) for path in paths]
    first = read[0]
    for path, other in zip(paths[1:], read[1:], strict=True):
        if len(other.masses) != len(first.masses):
            raise DynmatchError(
                f"{where}.topology: {path} has {len(other.masses)} atoms, and {paths[0]} has "
                f"{len(first.masses)}; give files of the same atoms"
            )
        if not first.topology.n_bonds:
            for i, j in other.bonds:
                first.topology.add_bond(first.topology.atom(i), first.topology.atom(j))
        if np.isnan(first.masses).all():
            first = first._replace(masses=other.masses)
    return first._replace(files=" and ".join(map(str, paths)))


def with_guessed_bonds(
    atoms: Atoms, positions: np.ndarray, box: np.ndarray | None, where: str = "reference"
) -> Atoms:
    """The atoms with bonds where two are nearer than 0.55 times the sum of their van der Waals
    radii, as VMD and MDAnalysis guess them.

    positions (n, 3), nm; box as in `sites.box`, nm.

    Raises DynmatchError where an atom's element is not known.
    """
    elements = [atom.element for atom in atoms.topology.atoms]
    unknown = [n for n, element in enumerate(elements) if element is None or not element.mass]
    if unknown:
        raise DynmatchError(
            f"{where}.bonds: the element of {atoms.topology.atom(unknown[0])} is not known, so its "
            "bonds cannot be guessed; give a topology with bonds"
        )
    made = MDAnalysis.Universe.empty(len(elements), trajectory=True)
    made.add_TopologyAttr("types", [element.symbol.upper() for element in elements])
    made.atoms.positions = 10 * positions
    if box is not None:
        lengths, angles = lengths_and_angles(box)
        made.dimensions = [*(10 * lengths), *angles]
    made.atoms.guess_bonds()
    topology = atoms.topology.copy()
    topology._bonds = []
    for i, j in made.bonds.indices.tolist():
        topology.add_bond(topology.atom(i), topology.atom(j))
    logger.warning("bonds are guessed from distances in the first frame: %d", topology.n_bonds)
    return atoms._replace(topology=topology)


def _read(path: str | Path, where: str) -> Atoms:
    try:
        form = topology_format(path)
        return _by_mdtraj(path) if form is None else _by_mdanalysis(path, form)
    except Exception as error:  # each format's reader raises other classes
        hint = ""
        if suffix(path) in (".top", ".itp"):
            hint = "; files that it includes must be beside it, or give the TPR file"
        raise DynmatchError(
            f"{where}.topology: {path}: cannot be read as a topology: {first_line(error)}{hint}"
        ) from error


def _by_mdtraj(path: str | Path) -> Atoms:
    topology = mdtraj.load_topology(str(path))
    return Atoms(topology, np.full(topology.n_atoms, np.nan))


def _by_mdanalysis(path: str | Path, form: str) -> Atoms:
    options = {"infer_system": True} if form == "ITP" else {}
    if form == "DATA":
        options = _columns(path)
    with warnings.catch_warnings():
        # what a file does not hold is asked for where it is needed
        warnings.simplefilter("ignore")
        read = MDAnalysis.Universe(str(path), topology_format=form, to_guess=(), **options).atoms
    masses = np.full(len(read), np.nan)
    if hasattr(read, "masses"):
        masses = np.where(read.masses >= 0, read.masses, np.nan)
    # of an ITP file, they are the first letters of its types
    told = hasattr(read, "elements") and form != "ITP"
    symbols = list(map(str, read.elements)) if told else [""] * len(read)
    # HOOMD's residues are rigid bodies
    named = hasattr(read, "resnames") and form != "GSD"
    return Atoms(_converted(read, masses, symbols, named), masses)


def _columns(path: str | Path) -> dict[str, str]:
    """The atom style that a LAMMPS data file names beside its section of atoms, where it does."""
    with MDAnalysis.lib.util.anyopen(str(path)) as lines:
        for line in lines:
            found = re.match(r"\s*Atoms\s*(?:#\s*(\w+))?", line)
            if found:
                style = found[1] or ""
                return {"atom_style": COLUMNS[style]} if style in COLUMNS else {}
    return {}


def _converted(
    atoms: MDAnalysis.AtomGroup, masses: np.ndarray, symbols: Sequence[str], named: bool
) -> mdtraj.Topology:
    """Atoms of MDAnalysis as a topology of MDTraj, in which the atoms of a residue follow one
    another. Where residues are not `named`, as in LAMMPS, they are atoms of one molecule's number
    that bonds hold together. Without names, an atom of type 3 is T3."""
    bonds = sorted(map(tuple, atoms.bonds.indices.tolist())) if hasattr(atoms, "bonds") else []
    if hasattr(atoms, "names"):
        names = list(map(str, atoms.names))
    else:
        names = [kind if kind[:1].isalpha() else f"T{kind}" for kind in map(str, atoms.types)]
    part = np.zeros(len(atoms), int) if named else parts_of(len(atoms), bonds)
    called = atoms.resnames if named else ["MOL"] * len(atoms)
    segments = atoms.segindices if named else np.zeros(len(atoms), int)
    keys = list(zip(segments.tolist(), atoms.resindices.tolist(), part.tolist(), strict=True))
    made, made_atoms, begun, torn, last = mdtraj.Topology(), [], set(), 0, (None, None, None)
    for n, key in enumerate(keys):
        if key[0] != last[0]:
            chain = made.add_chain()
        if key != last:
            torn += key in begun
            begun.add(key)
            residue = made.add_residue(str(called[n]), chain, int(atoms.resids[n]))
        last = key
        element = _element(symbols[n], masses[n])
        made_atoms.append(made.add_atom(names[n], element, residue))
    if torn:
        logger.warning(
            "the atoms of %d residues do not follow one another; each row of them is taken for a "
            "residue",
            torn,
        )
    for i, j in bonds:
        made.add_bond(made_atoms[i], made_atoms[j])
    return made


def _element(symbol: str, mass: float) -> Element | None:
    """The element of that symbol or, where there is none, of that mass."""
    try:
        return Element.getBySymbol(symbol.capitalize())
    except KeyError:
        if not mass > 0:
            return None
        near = Element.getByMass(float(mass))
        return near if abs(near.mass - mass) <= ELEMENT else None


def first_line(error: Exception) -> str:
    """Of what an exception says, the line that names the fault."""
    lines = str(error).strip().splitlines()
    # MDAnalysis says first which of its parsers it was
    told = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return next(iter([*told, *lines]), type(error).__name__)
