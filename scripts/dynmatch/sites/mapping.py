"""The mapping of a user's atoms onto coarse-grained sites: who belongs where, and with what weight.

A site is the weighted mean of a group of atoms, R = sum_i c_i r_i with sum_i c_i = 1. Its mass is
that for which the momentum of the site is the mapped momentum of its atoms, 1/M = sum_i c_i^2/m_i
(W. G. Noid et al., J. Chem. Phys. 128, 244114 (2008), doi:10.1063/1.2938860), which for a centre of
mass is the sum of the masses.
"""

import logging
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mdtraj
import numpy as np
from scipy.sparse import csr_array

from dynmatch.errors import DynmatchError
from dynmatch.sites.masses import Masses, masses_of
from dynmatch.sites.molecules import site_definitions
from dynmatch.sites.selection import select
from dynmatch.sites.topology import SiteTopology

logger = logging.getLogger(__name__)

LEAST_MASS = 0.1
"""amu: that of a hydrogen is 1, of a Drude particle 0.4."""


@dataclass(frozen=True)
class Site:
    """name (sites of one name are of one type), atoms (n,) and their weights (n,), which sum to 1,
    mass (amu), and the index of the residue of its first atom."""

    name: str
    atoms: np.ndarray
    weights: np.ndarray
    mass: float
    residue: int


def map_sites(
    topology: mdtraj.Topology,
    definitions: Sequence[Mapping],
    where: str = "reference",
    molecules: Sequence[Mapping] = (),
    masses: np.ndarray | None = None,
) -> list[Site]:
    """Sites of `topology`, in the order of its residues.

    definitions  as the config's `sites`: name; atoms, a selection in MDTraj's language, which makes
                 one site of each residue it has atoms in, or a list of atom indices from 0, which
                 makes one site; weights, in the order of the atoms, empty for their masses; mass in
                 amu, 0 for that of the elements
    molecules    as the config's `molecules`, see `molecules.site_definitions`; with neither, a site
                 is the centre of mass of a residue
    masses       (n,), amu, of the atoms where a file states them, see `masses.masses_of`

    Warns of atoms that belong to no site. Raises DynmatchError, naming the key, for a selection
    that cannot be read, a group that is empty or overlaps another, atoms that do not exist, weights
    that do not fit, and a mass that is not known.
    """
    masses = masses_of(topology, masses)
    if definitions or molecules:
        sites = [
            site
            for number, definition in enumerate(definitions)
            for site in _sites_of(topology, masses, definition, f"{where}.sites[{number}]")
        ]
        residue_of = [atom.residue.index for atom in topology.atoms]
        for number, molecule in enumerate(molecules):
            here = f"{where}.molecules[{number}]"
            sites += [
                _site(masses, site["name"], atoms, site, residue_of[atoms[0]], here)
                for site, atoms in site_definitions(topology, molecule, here)
            ]
        sites.sort(key=lambda site: site.residue)
    else:
        here = f"{where}.sites"
        sites = [
            _site(masses, residue.name, [a.index for a in residue.atoms], {}, residue.index, here)
            for residue in topology.residues
        ]
    _refuse_overlap(topology, sites, f"{where}.{'sites' if definitions else 'molecules'}")
    return sites


def _sites_of(topology, masses: Masses, definition: Mapping, where: str) -> list[Site]:
    residue_of = np.array([atom.residue.index for atom in topology.atoms])
    if isinstance(definition["atoms"], str):
        atoms = select(topology, definition["atoms"], f"{where}.atoms")
        groups = [atoms[residue_of[atoms] == r] for r in dict.fromkeys(residue_of[atoms].tolist())]
    else:
        groups = [np.array(definition["atoms"], int)]
        outside = groups[0][groups[0] >= topology.n_atoms]
        if len(outside):
            raise DynmatchError(
                f"{where}.atoms: there is no atom {outside[0]}; the topology has "
                f"{topology.n_atoms}, counted from 0"
            )
        if len(set(definition["atoms"])) < len(definition["atoms"]):
            raise DynmatchError(f"{where}.atoms: an atom comes twice; name each one once")
    return [
        _site(masses, definition["name"], group, definition, int(residue_of[group[0]]), where)
        for group in groups
    ]


def _site(masses: Masses, name: str, atoms, definition: Mapping, residue: int, where: str) -> Site:
    atoms = np.asarray(atoms)
    example = f"as in {{name: {name}, atoms: ..., weights: [...], mass: ...}}"
    mass = masses.value[atoms]
    weights = np.array(definition.get("weights") or (mass if len(atoms) > 1 else [1.0]), float)
    if len(atoms) > 1 and not definition.get("weights") and masses.unknown[atoms].any():
        raise DynmatchError(
            f"{where}: the elements of some atoms of {name} are not known, and with them not their "
            f"masses; give weights and mass, {example}"
        )
    if len(weights) != len(atoms):
        raise DynmatchError(
            f"{where}.weights: {len(weights)} weights for a group of {len(atoms)} atoms; give one "
            "for each, or none for their masses"
        )
    if definition.get("weights") and weights.sum() <= 0:
        raise DynmatchError(f"{where}.weights: all weights are 0")
    if weights.sum() <= 0:
        raise DynmatchError(
            f"{where}: the topology does not say what elements the atoms of {name} are, so their "
            f"masses are not known; give weights and mass, {example}"
        )
    weights = weights / weights.sum()
    total = definition.get("mass", 0.0)
    if not total:
        used = weights > 0
        if (mass[used] <= 0).any():
            raise DynmatchError(
                f"{where}.mass: the elements of some atoms of {name} are not known; give the mass "
                f"of the site, {example}"
            )
        if masses.united[atoms[used]].any():
            raise DynmatchError(
                f"{where}.mass: {name} has no hydrogens in the topology, and its atoms may be "
                "united ones, which weigh more than their elements; give the mass of the site, "
                f"{example}"
            )
        total = 1 / np.sum(weights[used] ** 2 / mass[used])
    if total < LEAST_MASS:
        raise DynmatchError(
            f"{where}.mass: {name} would weigh {total:g} amu, less than any particle"
        )
    return Site(name, atoms, weights, float(total), residue)


def _refuse_overlap(topology: mdtraj.Topology, sites: Sequence[Site], where: str) -> None:
    """Raise DynmatchError where an atom is in two sites, warn where it is in none."""
    owner = np.full(topology.n_atoms, -1)
    for number, site in enumerate(sites):
        taken = site.atoms[owner[site.atoms] >= 0]
        if len(taken):
            raise DynmatchError(
                f"{where}: atom {topology.atom(taken[0])} (index {taken[0]}) is in a site "
                f"{sites[owner[taken[0]]].name} and in a site {site.name}; groups must not overlap"
            )
        owner[site.atoms] = number
    free = np.flatnonzero(owner < 0)
    if len(free):
        logger.warning(
            "%s: %d of %d atoms are in no site, the first of them %s; they are left out",
            where,
            len(free),
            topology.n_atoms,
            topology.atom(free[0]),
        )


def site_bonds(
    topology: mdtraj.Topology, sites: Sequence[Site], more: Sequence[tuple[int, int]] = ()
) -> list[tuple[int, int]]:
    """Pairs of sites (i < j) that are joined by bonds, directly or through atoms in no site, and
    those whose atoms are joined by `more` of them."""
    owner = np.full(topology.n_atoms, -1)
    for number, site in enumerate(sites):
        owner[site.atoms] = number
    near = [[] for _ in range(topology.n_atoms)]
    for first, second in topology.bonds:
        near[first.index].append(second.index)
        near[second.index].append(first.index)
    bonds = {tuple(sorted((owner[i], owner[j]))) for i, j in more}
    for number, site in enumerate(sites):
        waiting, seen = deque(site.atoms.tolist()), set(site.atoms.tolist())
        while waiting:
            for atom in near[waiting.popleft()]:
                if owner[atom] not in (-1, number):
                    bonds.add((min(number, owner[atom]), max(number, owner[atom])))
                elif atom not in seen:
                    seen.add(atom)
                    waiting.append(atom)
    return sorted((int(i), int(j)) for i, j in bonds)


def site_topology(
    topology: mdtraj.Topology,
    sites: Sequence[Site],
    bonds: Sequence[tuple[int, int]],
    where: str = "reference",
) -> SiteTopology:
    """The topology of the sites: names, bonds, and the residues of the atoms they stand for.

    Raises DynmatchError, naming the residue, where one has several sites and none of them a bond:
    they would be taken for molecules of their own, and their bonds for pairs that attract.
    """
    several = {r for r, count in Counter(site.residue for site in sites).items() if count > 1}
    loose = several - {sites[place].residue for bond in bonds for place in bond}
    if loose:
        raise DynmatchError(
            f"{where}.topology: residue {topology.residue(min(loose))} has several sites and no "
            "bond; give a topology with bonds (TPR, PRMTOP, PSF, LAMMPS data, PDB with CONECT "
            f"records), bonds in {where}.molecules, or {where}.bonds: guess"
        )
    kept = list(dict.fromkeys(site.residue for site in sites))
    number = {residue: place for place, residue in enumerate(kept)}
    return SiteTopology(
        tuple(site.name for site in sites),
        tuple(number[site.residue] for site in sites),
        tuple(topology.residue(residue).name for residue in kept),
        tuple(bonds),
    )


def weights_of(sites: Sequence[Site], count: int) -> csr_array:
    """(N, n): row I holds the weights of the atoms of site I, without those that are 0: an atom
    with no weight has no part in a site's force either."""
    row = np.repeat(np.arange(len(sites)), [len(site.atoms) for site in sites])
    column = np.concatenate([site.atoms for site in sites])
    weight = np.concatenate([site.weights for site in sites])
    kept = weight > 0
    return csr_array((weight[kept], (row[kept], column[kept])), shape=(len(sites), count))
