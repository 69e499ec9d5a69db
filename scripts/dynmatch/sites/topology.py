"""Sites, their types, bonds and molecules: made once, when a trajectory is read.

Sites of one name are of one type. Sites at most three bonds apart have no nonbonded interaction.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement

import mdtraj
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from dynmatch.errors import DynmatchError

ANY = "*"
"""The type of the sites of a model with one type, in files that do not say what it is called."""
NEIGHBOURHOOD = 3
"""Bonds between two sites up to which they have no nonbonded interaction."""


@dataclass(frozen=True, eq=False)
class SiteTopology:
    """What is known of N sites apart from where they are. Hashable: equal content, equal topology.

    names         (N,) name of every site
    residues      (N,) number of the residue of every site; residues follow each other
    residue_names (R,)
    bonds         pairs of bonded sites
    """

    names: tuple[str, ...]
    residues: tuple[int, ...]
    residue_names: tuple[str, ...]
    bonds: tuple[tuple[int, int], ...] = ()

    @cached_property
    def _digest(self) -> bytes:
        content = [self.names, self.residues, self.residue_names, self.bonds]
        return hashlib.sha256(json.dumps(content).encode()).digest()

    def __eq__(self, other) -> bool:
        if self is other:
            return True
        return isinstance(other, SiteTopology) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    @property
    def n_sites(self) -> int:
        return len(self.names)

    @cached_property
    def type_names(self) -> tuple[str, ...]:
        """(T,) names of the types, sorted."""
        return tuple(sorted(set(self.names)))

    @cached_property
    def types(self) -> np.ndarray:
        """(N,) type of every site, an index into `type_names`."""
        return self.types_among(self.type_names)

    def types_among(self, names: Sequence[str]) -> np.ndarray:
        """(N,) type of every site, an index into `names`; `ANY` alone stands for any one type.

        Raises DynmatchError for a type that is not among them.
        """
        if tuple(names) == (ANY,) and len(set(self.names)) == 1:
            names = self.names[:1]
        numbers = {name: number for number, name in enumerate(names)}
        unknown = sorted(set(self.names) - numbers.keys())
        if unknown:
            raise DynmatchError(
                f"sites called {', '.join(unknown)} are of no type of the model, which knows "
                f"{', '.join(names)}"
            )
        return np.array([numbers[name] for name in self.names])

    @cached_property
    def molecules(self) -> list[np.ndarray]:
        """Sites of each molecule: those that bonds connect; a site without bonds is one by
        itself."""
        labels = parts_of(self.n_sites, self.bonds)
        order = np.argsort(labels, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)

    @cached_property
    def excluded(self) -> np.ndarray:
        """(E, N): the sites at most three bonds from each site, in no order; -1 for none."""
        near = [sorted(_within(site, self._bonded, NEIGHBOURHOOD)) for site in range(self.n_sites)]
        table = np.full((max(map(len, near), default=0), self.n_sites), -1)
        for site, partners in enumerate(near):
            table[: len(partners), site] = partners
        return table

    @cached_property
    def linked(self) -> np.ndarray:
        """(L, 2): pairs of sites at most three bonds apart, both ways, in order."""
        row, site = np.nonzero(self.excluded >= 0)
        pairs = np.stack([site, self.excluded[row, site]], 1)
        return pairs[np.lexsort(pairs.T[::-1])]

    @cached_property
    def _bonded(self) -> list[list[int]]:
        near = [[] for _ in range(self.n_sites)]
        for i, j in self.bonds:
            near[i].append(j)
            near[j].append(i)
        return near

    @cached_property
    def nonbonded_pairs(self) -> dict[tuple[str, str], np.ndarray]:
        """Pairs (P, 2) of sites that interact, i < j, by the names of their two types."""
        apart = np.triu(np.ones((self.n_sites,) * 2, bool), 1)
        apart[tuple(self.linked.T)] = False
        i, j = np.nonzero(apart)
        low, high = (f(self.types[i], self.types[j]) for f in (np.minimum, np.maximum))
        names = self.type_names
        return {
            (names[a], names[b]): np.stack([i, j], 1)[(low == a) & (high == b)]
            for a, b in combinations_with_replacement(range(len(names)), 2)
        }

    @cached_property
    def bonded_kinds(self) -> dict[tuple[str, ...], np.ndarray]:
        """Sites (S, 2), (S, 3) or (S, 4) of bonds, angles and dihedrals, by the names of the types
        along them, read the one way that comes first; their sites are in that order."""
        kinds: dict[tuple[str, ...], list] = {}
        for length in (2, 3, 4):
            for sites in paths(self.bonds, length):
                along = tuple(self.names[i] for i in sites)
                if along[::-1] < along:
                    along, sites = along[::-1], sites[::-1]
                kinds.setdefault(along, []).append(sites)
        return {along: np.array(sites) for along, sites in kinds.items()}

    def chosen(self, sites: Iterable[int]) -> "SiteTopology":
        """The topology of some sites alone, in the order given, with the bonds between them."""
        sites = list(sites)
        place = {site: number for number, site in enumerate(sites)}
        kept = list(dict.fromkeys(self.residues[site] for site in sites))
        return SiteTopology(
            tuple(self.names[site] for site in sites),
            tuple(kept.index(self.residues[site]) for site in sites),
            tuple(self.residue_names[residue] for residue in kept),
            tuple((place[i], place[j]) for i, j in self.bonds if i in place and j in place),
        )

    def repeated(self, copies: int) -> "SiteTopology":
        """`copies` of all sites, one after the other."""
        n, residues = self.n_sites, len(self.residue_names)
        return SiteTopology(
            self.names * copies,
            tuple(each + copy * residues for copy in range(copies) for each in self.residues),
            self.residue_names * copies,
            tuple((i + copy * n, j + copy * n) for copy in range(copies) for i, j in self.bonds),
        )

    def record(self) -> dict:
        """The topology in plain values, for JSON."""
        return {
            "names": list(self.names),
            "residues": list(self.residues),
            "residue_names": list(self.residue_names),
            "bonds": [list(pair) for pair in self.bonds],
        }

    @classmethod
    def of_record(cls, record: dict) -> "SiteTopology":
        """The topology that `record` has written."""
        return cls(
            tuple(record["names"]),
            tuple(record["residues"]),
            tuple(record["residue_names"]),
            tuple((i, j) for i, j in record["bonds"]),
        )

    def to_mdtraj(self) -> mdtraj.Topology:
        """The same for MDTraj: sites are virtual atoms, in one chain."""
        made = mdtraj.Topology()
        chain = made.add_chain()
        residues = [made.add_residue(name, chain) for name in self.residue_names]
        atoms = [
            made.add_atom(name, mdtraj.element.virtual, residues[residue])
            for name, residue in zip(self.names, self.residues, strict=True)
        ]
        for i, j in self.bonds:
            made.add_bond(atoms[i], atoms[j])
        return made

    @classmethod
    def from_mdtraj(cls, topology: mdtraj.Topology) -> "SiteTopology":
        """The sites that the atoms of `topology` stand for."""
        return cls(
            tuple(atom.name for atom in topology.atoms),
            tuple(atom.residue.index for atom in topology.atoms),
            tuple(residue.name for residue in topology.residues),
            tuple((a.index, b.index) for a, b in topology.bonds),
        )


def independent_sites(names: Sequence[str], residue: str) -> SiteTopology:
    """Sites without bonds, each a residue of that name by itself."""
    return SiteTopology(tuple(names), tuple(range(len(names))), (residue,) * len(names))


def parts_of(count: int, bonds: Sequence[tuple[int, int]]) -> np.ndarray:
    """(count,) number of the part, of those that bonds connect, that each atom or site is in."""
    rows, columns = np.array(bonds, int).reshape(-1, 2).T
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def paths(bonds: Iterable[tuple[int, int]], length: int) -> list[tuple[int, ...]]:
    """Chains of `length` sites joined by bonds, each once, the end with the lower index first."""
    near: dict[int, list[int]] = {}
    for i, j in bonds:
        near.setdefault(i, []).append(j)
        near.setdefault(j, []).append(i)
    chains = [(i,) for i in near]
    for _ in range(length - 1):
        chains = [(*chain, j) for chain in chains for j in near[chain[-1]] if j not in chain]
    return sorted(chain for chain in chains if chain[0] < chain[-1])


def _within(site: int, near: list[list[int]], bonds: int) -> set[int]:
    """The other sites at most that many bonds from `site`."""
    found, edge = {site}, [site]
    for _ in range(bonds):
        edge = [j for i in edge for j in near[i] if j not in found]
        found.update(edge)
    return found - {site}
