"""Types of sites, and the graph of bonds: what a topology of sites says about its molecules.

Sites of one name are of one type. Sites at most three bonds apart have no nonbonded interaction.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import mdtraj
import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

NEIGHBOURHOOD = 3
"""Bonds between two sites up to which they have no nonbonded interaction."""


def types_of(topology: mdtraj.Topology) -> tuple[list[str], np.ndarray]:
    """The names of the types, sorted, and the type (N,) of every site."""
    names = [atom.name for atom in topology.atoms]
    kinds = sorted(set(names))
    return kinds, np.array([kinds.index(name) for name in names])


def bonds_of(topology: mdtraj.Topology) -> list[tuple[int, int]]:
    """Bonded pairs of sites."""
    return [(a.index, b.index) for a, b in topology.bonds]


def molecules_of(count: int, bonds: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Sites of each molecule: those that bonds connect; a site without bonds is one by itself."""
    rows, columns = np.array(bonds, int).reshape(-1, 2).T
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]


def nonbonded_pairs(topology: mdtraj.Topology) -> dict[tuple[str, str], np.ndarray]:
    """Pairs (P, 2) of sites that interact, i < j, by the names of their two types."""
    names, types = types_of(topology)
    near = excluded_pairs(bonds_of(topology), len(types))
    i, j = np.nonzero(np.triu(~near, 1))
    low, high = np.minimum(types[i], types[j]), np.maximum(types[i], types[j])
    return {
        (names[a], names[b]): np.stack([i, j], 1)[(low == a) & (high == b)]
        for a, b in combinations_with_replacement(range(len(names)), 2)
    }


def paths(bonds: Sequence[tuple[int, int]], length: int) -> list[tuple[int, ...]]:
    """Chains of `length` sites joined by bonds, each once, the end with the lower index first."""
    near = {}
    for i, j in bonds:
        near.setdefault(i, []).append(j)
        near.setdefault(j, []).append(i)
    chains = [(i,) for i in near]
    for _ in range(length - 1):
        chains = [(*chain, j) for chain in chains for j in near[chain[-1]] if j not in chain]
    return sorted(chain for chain in chains if chain[0] < chain[-1])


def kinds_of(topology: mdtraj.Topology) -> dict[tuple[str, ...], list[tuple[int, ...]]]:
    """Bonds, angles and dihedrals by the names of the types along them, read the one way that
    comes first; their sites are in that order."""
    names = [atom.name for atom in topology.atoms]
    kinds = {}
    for length in (2, 3, 4):
        for sites in paths(bonds_of(topology), length):
            along = tuple(names[i] for i in sites)
            if along[::-1] < along:
                along, sites = along[::-1], sites[::-1]
            kinds.setdefault(along, []).append(sites)
    return kinds


def excluded_pairs(bonds: Sequence[tuple[int, int]], count: int) -> np.ndarray:
    """(N, N): whether two sites are the same or at most three bonds apart."""
    rows, columns = np.array(bonds, int).reshape(-1, 2).T
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    distance = dijkstra(graph, directed=False, unweighted=True, limit=NEIGHBOURHOOD)
    return distance <= NEIGHBOURHOOD


def coordinate(positions, sites: np.ndarray, box, xp=np):
    """r (nm), cos theta or phi (radian, IUPAC sign) of sites (S, 2), (S, 3) or (S, 4).

    positions (..., N, 3), nm; returns (..., S). `xp` is NumPy or JAX's.
    """
    steps = []
    for i, j in zip(sites.T[:-1], sites.T[1:], strict=True):
        d = positions[..., j, :] - positions[..., i, :]
        steps.append(d - box * xp.round(d / box))
    if len(steps) == 1:
        return xp.sqrt(xp.sum(steps[0] ** 2, -1))
    if len(steps) == 2:
        first, second = -steps[0], steps[1]
        norm = xp.sqrt(xp.sum(first**2, -1) * xp.sum(second**2, -1))
        return xp.sum(first * second, -1) / norm
    first, second, third = steps
    left, right = xp.cross(first, second), xp.cross(second, third)
    sine = xp.sqrt(xp.sum(second**2, -1)) * xp.sum(first * right, -1)
    return xp.arctan2(sine, xp.sum(left * right, -1))
