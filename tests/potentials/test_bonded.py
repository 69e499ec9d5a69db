"""Bonded terms: the graph of bonds, coordinates as MDTraj has them, and fits to known samples."""

import mdtraj
import numpy as np
import pytest

from dynmatch.potentials import bonded
from dynmatch.sites.topology import (
    coordinate,
    excluded_pairs,
    molecules_of,
    nonbonded_pairs,
    paths,
    types_of,
)
from dynmatch.sites.trajectory import SiteTrajectory

KT = 2.494
BOX = np.array([2.0, 2.2, 2.4])
BRANCHED = [(0, 1), (1, 2), (1, 3), (3, 4)]
"""0-1-2 with 3-4 on 1."""


def topology(names: str, bonds) -> mdtraj.Topology:
    mapped = mdtraj.Topology()
    residue = mapped.add_residue("M", mapped.add_chain())
    atoms = [mapped.add_atom(name, mdtraj.element.virtual, residue) for name in names]
    for i, j in bonds:
        mapped.add_bond(atoms[i], atoms[j])
    return mapped


def samples_of(positions, names: str, bonds) -> SiteTrajectory:
    frames = len(positions)
    return SiteTrajectory(
        positions, np.arange(frames) * 0.1, np.ones(len(names)), topology(names, bonds), BOX
    )


def test_every_chain_is_found_once():
    assert paths(BRANCHED, 2) == BRANCHED
    assert paths(BRANCHED, 3) == [(0, 1, 2), (0, 1, 3), (1, 3, 4), (2, 1, 3)]
    assert paths(BRANCHED, 4) == [(0, 1, 3, 4), (2, 1, 3, 4)]
    assert paths([], 2) == []


def test_sites_beyond_three_bonds_interact():
    chain = [(0, 1), (1, 2), (2, 3), (3, 4)]
    pairs = nonbonded_pairs(topology("ABABA", chain))
    assert {names: each.tolist() for names, each in pairs.items()} == {
        ("A", "A"): [[0, 4]],
        ("A", "B"): [],
        ("B", "B"): [],
    }
    assert excluded_pairs([], 3).tolist() == np.eye(3, dtype=bool).tolist()
    assert [list(m) for m in molecules_of(4, [(0, 2)])] == [[0, 2], [1], [3]]
    names, types = types_of(topology("BAB", []))
    assert names == ["A", "B"]
    assert types.tolist() == [1, 0, 1]


def test_coordinates_are_those_of_mdtraj():
    rng = np.random.default_rng(1)
    positions = rng.uniform(0, 2, (20, 4, 3))
    frames = mdtraj.Trajectory(
        positions,
        topology("AAAA", []),
        unitcell_lengths=np.tile(BOX, (20, 1)),
        unitcell_angles=np.full((20, 3), 90.0),
    )
    r = coordinate(positions, np.array([[0, 1], [2, 3]]), BOX)
    np.testing.assert_allclose(r, mdtraj.compute_distances(frames, [[0, 1], [2, 3]]), atol=1e-5)
    c = coordinate(positions, np.array([[0, 1, 2]]), BOX)
    np.testing.assert_allclose(c, np.cos(mdtraj.compute_angles(frames, [[0, 1, 2]])), atol=1e-4)
    phi = coordinate(positions, np.array([[0, 1, 2, 3]]), BOX)
    apart = phi - mdtraj.compute_dihedrals(frames, [[0, 1, 2, 3]])
    np.testing.assert_allclose(np.cos(apart), 1.0, atol=1e-6)


def test_fit_finds_the_bond_that_samples_were_drawn_from():
    """p(r) ~ r^2 exp(-k (r - r0)^2/2kT), 2e4 independent samples: r0 within four standard errors of
    the mean (8e-4 nm) and the second-order term left out (2e-4 nm), k within 4 %."""
    r0, deviation = 0.30, 0.03
    rng = np.random.default_rng(2)
    grid = np.linspace(0.1, 0.5, 4001)
    weight = grid**2 * np.exp(-((grid - r0) ** 2) / (2 * deviation**2))
    r = rng.choice(grid, 20_000, p=weight / weight.sum())
    positions = np.zeros((2000, 20, 3))
    positions[:, 1::2, 0] = r.reshape(2000, 10)
    bonds = [(2 * k, 2 * k + 1) for k in range(10)]
    (term,) = bonded.fit(samples_of(positions, "AB" * 10, bonds), KT, 0.005)
    assert term.names == ("A", "B")
    assert term.sites == tuple(bonds)
    assert term.parameters[0] == pytest.approx(r0, abs=1e-3)
    assert term.parameters[1] == pytest.approx(KT / deviation**2, rel=0.04)


def test_a_rigid_molecule_is_softened_to_the_width_given():
    rigid = np.tile([[0.0, 0, 0], [0.15, 0, 0], [0.15, 0.15, 0]], (5, 1, 1))
    terms = bonded.fit(samples_of(rigid, "ABC", [(0, 1), (1, 2)]), KT, 0.015)
    bond, _, angle = sorted(terms, key=lambda term: len(term.names))
    assert bond.parameters[1] == pytest.approx(KT / 0.015**2)
    # the mean of r^2 exp(-k (r - r0)^2/2kT) is the length that the reference has
    r = np.linspace(1e-3, 0.4, 20_001)
    weight = r**2 * np.exp(-bond.parameters[1] * (r - bond.parameters[0]) ** 2 / (2 * KT))
    assert np.average(r, weights=weight) == pytest.approx(0.15, abs=2e-4)
    assert angle.parameters == pytest.approx((0.0, KT / 0.1**2), abs=1e-6)


def test_fit_finds_the_dihedral_that_samples_were_drawn_from():
    """A chiral potential of some kT, 4e4 independent samples: within 0.1 kT in free energy."""
    a, b = np.array([1.0, -0.5, 1.5, 0.0]), np.array([0.8, 0.0, -0.6, 0.3])
    n = np.arange(1, 5)

    def u(phi):
        angles = phi[:, None] * n
        return np.cos(angles) @ a + np.sin(angles) @ b

    grid = np.linspace(-np.pi, np.pi, 3600, endpoint=False)
    weight = np.exp(-u(grid) / KT)
    phi = np.random.default_rng(3).choice(grid, 40_000, p=weight / weight.sum())
    phi = phi.reshape(2000, 20)
    zero = np.zeros_like(phi)
    sites = np.stack(
        [
            np.stack([zero - 0.05, zero + 0.1, zero], -1),
            np.stack([zero, zero, zero], -1),
            np.stack([zero + 0.15, zero, zero], -1),
            np.stack([zero + 0.2, 0.1 * np.cos(phi), 0.1 * np.sin(phi)], -1),
        ],
        2,
    ).reshape(2000, 80, 3)
    bonds = [(4 * k + m, 4 * k + m + 1) for k in range(20) for m in range(3)]
    terms = bonded.fit(samples_of(sites, "ABCD" * 20, bonds), KT, 0.01)
    (dihedral,) = [term for term in terms if len(term.names) == 4]
    difference = np.array(dihedral.parameters) - np.concatenate([a, b])
    angles = grid[:, None] * n
    off = np.concatenate([np.cos(angles), np.sin(angles)], 1) @ difference
    assert np.ptp(off[weight > 0.1 * weight.max()]) < 0.1 * KT
