"""Mapping files as the `sites` and `molecules` of a config: those of VOTCA and PyCGTOOL, and YAML.

VOTCA: https://www.votca.org/csg/mapping.html; PyCGTOOL: https://pycgtool.readthedocs.io.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from dynmatch.errors import DynmatchError, told

YAML = (".yaml", ".yml")


def read_mapping(path: str | Path) -> dict[str, list[dict[str, Any]]]:
    """The keys `molecules` and `sites` of a config's reference: `molecules` from VOTCA's XML, or
    from PyCGTOOL's .map with the bonds of a .bnd file of the same name, where there is one; either
    from YAML, as it stands.

    Raises DynmatchError, naming the file, for what is none of these.
    """
    path = Path(path)
    try:
        made = _read(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ElementTree.ParseError, ValueError, KeyError) as error:
        raise DynmatchError(f"{path}: no mapping of VOTCA or PyCGTOOL: {told(error)}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DynmatchError(f"{path}: no YAML: {told(error)}") from error
    if not any(made.values()):
        raise DynmatchError(f"{path}: no mapping: it has neither molecules nor sites")
    return made


def _read(path: Path, text: str) -> dict[str, list[dict[str, Any]]]:
    suffix = path.suffix.lower()
    if suffix in YAML:
        held = yaml.safe_load(text)
        if not isinstance(held, dict) or held.keys() - {"molecules", "sites"}:
            raise DynmatchError(f"{path}: may have the keys molecules and sites, and no other")
        return held
    return {"molecules": [_votca(text)] if suffix == ".xml" else list(_pycgtool(text, path))}


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
        given = [float(weight) for weight in weights[_text(bead, "mapping")]]
        if len(given) != len(atoms):
            raise ValueError(f"{len(given)} weights for the {len(atoms)} atoms of {names[-1]}")
        site = {"name": _plain(_text(bead, "type")), "atoms": atoms, "weights": given}
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
