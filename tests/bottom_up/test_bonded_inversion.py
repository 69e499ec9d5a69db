"""Bonded terms fitted to samples of known distributions."""

import numpy as np
import pytest

from dynmatch.bottom_up import bonded_inversion
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import bonded_sites

KT = 2.494
BOX = np.array([2.0, 2.2, 2.4])


def samples_of(positions, names: str, bonds) -> SiteTrajectory:
    time, masses = np.arange(len(positions)) * 0.1, np.ones(len(names))
    return SiteTrajectory(positions, time, masses, bonded_sites(names, bonds), BOX)


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
    (kind,) = bonded_inversion.fit(samples_of(positions, "AB" * 10, bonds), KT, 0.005).kinds
    assert kind.names == ("A", "B")
    assert kind.parameters[0] == pytest.approx(r0, abs=1e-3)
    assert kind.parameters[1] == pytest.approx(KT / deviation**2, rel=0.04)


def test_a_rigid_molecule_is_softened_to_the_width_given():
    rigid = np.tile([[0.0, 0, 0], [0.15, 0, 0], [0.15, 0.15, 0]], (5, 1, 1))
    fitted = bonded_inversion.fit(samples_of(rigid, "ABC", [(0, 1), (1, 2)]), KT, 0.015)
    bond, _, angle = sorted(fitted.kinds, key=lambda kind: len(kind.names))
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
    fitted = bonded_inversion.fit(samples_of(sites, "ABCD" * 20, bonds), KT, 0.01)
    (dihedral,) = [kind for kind in fitted.kinds if len(kind.names) == 4]
    difference = np.array(dihedral.parameters) - np.concatenate([a, b])
    angles = grid[:, None] * n
    off = np.concatenate([np.cos(angles), np.sin(angles)], 1) @ difference
    assert np.ptp(off[weight > 0.1 * weight.max()]) < 0.1 * KT
