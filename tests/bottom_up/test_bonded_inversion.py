"""Bonded terms fitted to samples of known distributions, and trained on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy.spatial.distance import jensenshannon

from dynmatch.bottom_up import bonded_inversion, relative_entropy
from dynmatch.dynamics import rollout
from dynmatch.dynamics.langevin import Equation as Langevin
from dynmatch.potentials.bonded import Form, Kind, Spline
from dynmatch.potentials.sum import Potential
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Windows
from tests.helpers.fluids import bonded_sites

KT = 2.494
BOX = np.array([2.0, 2.2, 2.4])
FAR = np.full(3, 50.0)
ALIKE = 0.003
"""Jensen-Shannon divergence (nats) of two distributions on 50 bins."""


simulate = jax.jit(rollout.simulate_windows, static_argnums=0)


def samples_of(positions, names: str, bonds, box=BOX) -> SiteTrajectory:
    time, masses = np.arange(len(positions)) * 0.1, np.ones(len(names))
    return SiteTrajectory(positions, time, masses, bonded_sites(names, bonds), box)


def two_peaks(count: int) -> np.ndarray:
    """Lengths with a broad peak of two thirds, trans, and a narrower one, gauche: as those of the
    bonds of dodecane on four sites (doi:10.1021/ct900369w)."""
    rng = np.random.default_rng(6)
    gauche = rng.random(count) < 1 / 3
    return np.where(gauche, rng.normal(0.37, 0.018, count), rng.normal(0.47, 0.025, count))


def divergence(one: np.ndarray, other: np.ndarray) -> float:
    edges = np.linspace(*np.quantile(np.concatenate([one, other]), [0, 1]), 51)
    return float(jensenshannon(*(np.histogram(x, edges)[0] for x in (one, other))) ** 2)


def sampled(
    form: Form, parameters: dict, topology: SiteTopology, positions: np.ndarray
) -> np.ndarray:
    """Frames (F, N, 3) of the model by Langevin dynamics, from `positions` (W, N, 3): 40 windows of
    1 ps, steps of 4 fs, masses of 15 amu; the first fifth is left out."""
    potential = Potential((form,), topology.type_names, KT)
    types = len(topology.type_names)
    equation = Langevin(0.004)
    plan = rollout.RolloutPlan(equation, potential, topology, KT, tuple(FAR.tolist()), (250,) * 40)
    values = {
        "gamma": jnp.full(types, 75.0),
        "alpha": jnp.float32(1.0),
        "mass": jnp.full(types, 15.0),
    }
    tables = potential.tabulate(parameters)
    keys = random.split(random.PRNGKey(1), len(positions))
    states = rollout.start(plan, values, tables, keys, jnp.asarray(positions, jnp.float32))
    _, frames = simulate(plan, values, tables, states)
    return np.asarray(frames.positions[:, 8:]).reshape(-1, topology.n_sites, 3)


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
    fitted, learned = bonded_inversion.fit(samples_of(positions, "AB" * 10, bonds), KT, 0.005)
    (kind,) = fitted.kinds
    assert kind.names == ("A", "B")
    assert kind.parameters[0] == pytest.approx(r0, abs=1e-3)
    assert kind.parameters[1] == pytest.approx(KT / deviation**2, rel=0.04)
    # with the spline it is still that harmonic well, to 0.2 kT within two standard deviations
    q = np.linspace(r0 - 2 * deviation, r0 + 2 * deviation, 41)
    off = kind.energy(learned["bonded"]["A-B"], q, xp=np) / KT - (q - r0) ** 2 / (2 * deviation**2)
    assert np.ptp(off) < 0.2
    well = np.polyfit(q - r0, kind.energy(learned["bonded"]["A-B"], q, xp=np), 2)
    assert 2 * well[0] == pytest.approx(KT / deviation**2, rel=0.06)
    assert -well[1] / (2 * well[0]) == pytest.approx(0.0, abs=1e-3)


def test_a_rigid_molecule_is_softened_to_the_width_given():
    rigid = np.tile([[0.0, 0, 0], [0.15, 0, 0], [0.15, 0.15, 0]], (5, 1, 1))
    fitted, learned = bonded_inversion.fit(samples_of(rigid, "ABC", [(0, 1), (1, 2)]), KT, 0.015)
    assert learned == {}
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
    fitted, learned = bonded_inversion.fit(samples_of(sites, "ABCD" * 20, bonds), KT, 0.01)
    (dihedral,) = [kind for kind in fitted.kinds if len(kind.names) == 4]
    difference = np.array(dihedral.parameters) - np.concatenate([a, b])
    angles = grid[:, None] * n
    off = np.concatenate([np.cos(angles), np.sin(angles)], 1) @ difference
    assert np.ptp(off[weight > 0.1 * weight.max()]) < 0.1 * KT
    # and the more so with the spline
    with_spline = dihedral.energy(learned["bonded"]["A-B-C-D"], grid, xp=np) - u(grid)
    assert np.ptp(with_spline[weight > 0.1 * weight.max()]) < 0.2 * KT


MOLECULES, CHAINS = 20, 400


@pytest.fixture(scope="module")
def chains() -> SiteTrajectory:
    """Chains of three sites whose ends do not see each other, so that marginals are all that there
    is: lengths with two peaks, and cosines with two."""
    rng = np.random.default_rng(8)
    r = two_peaks(2 * MOLECULES * CHAINS).reshape(CHAINS, MOLECULES, 2)
    wide = rng.random(r.shape[:2]) < 0.6
    cosine = np.where(wide, rng.normal(-0.6, 0.1, wide.shape), rng.normal(0.1, 0.15, wide.shape))
    cosine = np.clip(cosine, -1, 1)
    zero = np.zeros_like(cosine)
    first = np.stack([r[..., 0], zero, zero], -1)
    third = r[..., 1:] * np.stack([cosine, np.sqrt(1 - cosine**2), zero], -1)
    positions = np.stack([first, np.zeros_like(first), third], 2).reshape(CHAINS, -1, 3)
    bonds = [(3 * k + m, 3 * k + m + 1) for k in range(MOLECULES) for m in range(2)]
    return samples_of(positions, "ABA" * MOLECULES, bonds, FAR)


@pytest.fixture(scope="module")
def fitted(chains) -> tuple[Form, dict]:
    return bonded_inversion.fit(chains, KT, 0.01)


def apart(form: Form, parameters: dict, reference: SiteTrajectory) -> list[float]:
    """Divergence of every bonded distribution of Langevin dynamics from that of the reference."""
    frames = sampled(form, parameters, reference.topology, reference.positions[:8])
    return [
        divergence(*(coordinate(x, sites, FAR).ravel() for x in (frames, reference.positions)))
        for sites in reference.topology.bonded_kinds.values()
    ]


def test_distributions_with_two_peaks_have_them_in_langevin_dynamics(chains, fitted):
    """As fitted, without training. Samples of the harmonic priors alone are far from them."""
    form, parameters = fitted
    assert max(apart(form, parameters, chains)) < ALIKE
    rng = np.random.default_rng(9)
    for kind in form.kinds:
        q = coordinate(chains.positions, chains.topology.bonded_kinds[kind.names], FAR).ravel()
        centre, k = kind.parameters
        assert divergence(rng.normal(centre, np.sqrt(KT / k), q.size), q) > 10 * ALIKE


def test_relative_entropy_learns_them_from_the_priors(chains, fitted):
    form, parameters = fitted
    everything = np.arange(CHAINS)
    learned = relative_entropy.minimise(
        Potential((form,), chains.topology.type_names, KT),
        jax.tree.map(lambda x: jnp.zeros(len(x)), parameters),
        chains.topology,
        Windows(chains, np.array([0]), 1, everything, everything[:1]),
        np.full(2, 15.0),
        seed=1,
        updates=300,
        replicas=8,
        rate=0.1,
        roughness=0.001,
        report=lambda row: None,
    )
    assert max(apart(form, learned, chains)) < ALIKE


def test_angles_near_180_degrees():
    """cos theta with the density exp(-40 (1 + cos theta)), which is highest where it ends: the
    energy is that slope wherever there is data, to 0.2 kB T."""
    values = -1 + np.random.default_rng(4).exponential(1 / 40, 20_000)
    kind = Kind(("A", "B", "A"), bonded_inversion.harmonic(values, KT), Spline(-1.0, -0.8, 9, KT))
    found = bonded_inversion.spline_coefficients(kind, values, KT, (-1.0, 1.0), 0)
    q = np.linspace(-0.999, -0.85, 50)
    energy = kind.energy(found, q, xp=np) / KT - 40 * q
    assert np.ptp(energy) < 0.4
