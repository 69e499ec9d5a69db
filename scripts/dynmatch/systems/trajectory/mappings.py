"""Mapping files of VOTCA and PyCGTOOL as the `molecules` of a config.

VOTCA: https://www.votca.org/csg/mapping.html; PyCGTOOL: https://pycgtool.readthedocs.io.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from dynmatch.errors import DynmatchError, told


def read_mapping(path: str | Path) -> list[dict[str, Any]]:
    """Molecules, as `reference.molecules` has them, from VOTCA's XML, or from PyCGTOOL's .map with
    the bonds of a .bnd file of the same name, where there is one.

    Raises DynmatchError, naming the file, for what is neither.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        made = [_votca(text)] if path.suffix.lower() == ".xml" else list(_pycgtool(text, path))
    except (OSError, UnicodeDecodeError, ElementTree.ParseError, ValueError, KeyError) as error:
        raise DynmatchError(f"{path}: no mapping of VOTCA or PyCGTOOL: {told(error)}") from error
    if not made:
        raise DynmatchError(f"{path}: no mapping of VOTCA or PyCGTOOL: it has no molecules")
    return made


def _votca(text: str) -> dict[str, Any]:
    """Atoms are named residue:name of the residue:atom, counted from 1 within the molecule."""
    tree = ElementTree.fromstring(text)
    weights = {_text(each, "name"): _text(each, "weights").split() for each in tree.iter("map")}
    names, sites, residues = [], [], {}
    for bead in tree.iter("cg_bead"):
        atoms = _text(bead, "beads").split()
        names.append(_text(bead, "name"))
        if strange := [atom for atom in atoms if atom.count(":") != 2]:
            raise ValueError(f"{strange[0]} is no atom residue:name:atom")
        residues |= dict.fromkeys(atom.split(":")[1] for atom in atoms)
        site = {"name": _plain(_text(bead, "type")), "atoms": atoms}
        given = weights[_text(bead, "mapping")]
        if len(given) != len(atoms):
            raise ValueError(f"{len(given)} weights for the {len(atoms)} atoms of {names[-1]}")
        if len(atoms) > 1:
            site["weights"] = [float(weight) for weight in given]
        sites.append(site)
    bonds = []
    for bond in tree.iter("bond"):
        ends = [names.index(name) for name in _text(bond, "beads").split()]
        bonds += [list(pair) for pair in zip(ends[::2], ends[1::2], strict=True)]
    return _molecule(" ".join(residues), sites, bonds)


def _text(element: ElementTree.Element, tag: str) -> str:
    found = element.findtext(tag)
    if found is None:
        raise ValueError(f"<{element.tag}> has no <{tag}>")
    return found.strip()


def _pycgtool(text: str, path: Path) -> Iterator[dict[str, Any]]:
    beside = path.with_suffix(".bnd")
    bonded = dict(_sections(beside.read_text(encoding="utf-8"))) if beside.is_file() else {}
    for residue, rows in _sections(text):
        names, sites = [], []
        for name, kind, *atoms in (row for row in rows if not row[0].startswith("@")):
            if atoms and re.fullmatch(r"[-+]?\d+(\.\d*)?", atoms[0]):
                # a charge
                atoms = atoms[1:]
            if not atoms:
                raise ValueError(f"{name} has no atoms")
            names.append(name)
            sites.append({"name": _plain(kind), "atoms": atoms})
        bonds = [
            [names.index(end) for end in row]
            for row in bonded.get(residue, [])
            if len(row) == 2 and set(row) <= set(names)
        ]
        yield _molecule(residue, sites, bonds)


def _sections(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Rows of words below each [name]."""
    name, rows = None, []
    for line in text.splitlines():
        words = line.partition(";")[0].split()
        if not words:
            continue
        heading = re.fullmatch(r"\[\s*(\S+)\s*\]", " ".join(words))
        if heading:
            if name is not None:
                yield name, rows
            name, rows = heading[1], []
        elif name is None:
            raise ValueError(f"'{line.strip()}' stands before any [molecule]")
        else:
            rows.append(words)
    if name is not None:
        yield name, rows


def _molecule(residues: str, sites: list[dict], bonds: list[list[int]]) -> dict[str, Any]:
    made: dict[str, Any] = {"select": f"resname {residues}", "sites": sites}
    return made | ({"bonds": bonds} if bonds else {})


def _plain(name: str) -> str:
    """A name as types of sites have it: of letters, digits and _."""
    return re.sub(r"\W", "_", name).lstrip("_") or "X"
