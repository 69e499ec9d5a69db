"""The fluid whose truth is known: its potential, and whether it moves as it is said to."""

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.statistics import block_means, mean_and_error
from dynmatch.systems.synthetic import fluid as known
from dynmatch.systems.synthetic.fluid import KnownReference
from dynmatch.units import BOLTZMANN
from tests.helpers.fluids import jittered_lattice

TEMPERATURE = 300.0
KT = BOLTZMANN * TEMPERATURE
GAMMA, MASS, SITES = 300.0, 30.0, 64
EDGE = (SITES / 33.0) ** (1 / 3)
CUTOFF = 0.6


def reference(**changes) -> KnownReference:
    settings = dict(
        temperature=TEMPERATURE,
        sites=SITES,
        density=33.0,
        cutoff=CUTOFF,
        dynamics="ld",
        gamma=GAMMA,
        mass=MASS,
        time_step=0.01,
        replicas=4,
        equilibration=10.0,
        length=20.0,
        frame_spacing=0.05,
        seed=1,
    )
    return KnownReference(**(settings | changes))


@pytest.fixture(scope="module")
def fluids() -> dict:
    """4 replicas of 20 ps, in Langevin and Brownian dynamics."""
    return {
        "ld": known.simulate(reference()),
        "bd": known.simulate(reference(dynamics="bd", time_step=0.005, seed=2)),
    }


def energies(positions: np.ndarray) -> np.ndarray:
    """Known potential, kJ/mol, of configurations (F, N, 3)."""
    with jax.enable_x64(True):
        box = jnp.full(3, EDGE)
        return np.asarray(jax.jit(jax.vmap(lambda x: known.energy(x, box, CUTOFF)))(positions))


def explicit_energy(x: np.ndarray, box: np.ndarray) -> float:
    """The potential by its definition, one triplet after the other."""
    d = x[None] - x[:, None]
    d -= box * np.round(d / box)
    r = np.sqrt(np.sum(d * d, -1))
    total = 0.0
    for i, j in combinations(range(len(x)), 2):
        well = np.exp(-known.STEEPNESS * (r[i, j] - known.DISTANCE))
        onset = CUTOFF - known.TAPER
        # the taper of Steinbach and Brooks (1994), in squares of distances
        t = np.clip((CUTOFF**2 - r[i, j] ** 2) / (CUTOFF**2 - onset**2), 0.0, 1.0)
        total += known.DEPTH * (well**2 - 2 * well) * t**2 * (3 - 2 * t)
    g = np.where(r < known.RANGE, np.exp(known.WIDTH / np.minimum(r - known.RANGE, -1e-12)), 0.0)
    for i in range(len(x)):
        for j, k in combinations([j for j in range(len(x)) if j != i], 2):
            cosine = d[i, j] @ d[i, k] / (r[i, j] * r[i, k])
            total += known.STRENGTH * g[i, j] * g[i, k] * (cosine - known.COSINE) ** 2
    return total


def test_energy_is_the_sum_over_pairs_and_triplets():
    """JAX-MD holds the constants of its Morse potential and cutoff in single precision: 6e-8."""
    x = jittered_lattice(np.random.default_rng(1), 0.9, 0.08)
    box = np.array([1.21, 1.3, 1.25])
    with jax.enable_x64(True):
        value = float(known.energy(jnp.asarray(x), jnp.asarray(box), CUTOFF))
    assert value == pytest.approx(explicit_energy(x, box), rel=1e-7)


@pytest.mark.parametrize("dynamics", ["bd", "ld"])
def test_forces_of_the_reference_are_finite_differences_of_the_energy(fluids, dynamics):
    """Along 20 random directions; the stored forces are in single precision."""
    fluid = fluids[dynamics]
    x, forces = fluid.positions[-1].astype(np.float64), fluid.forces[-1].astype(np.float64)
    directions = np.random.default_rng(2).normal(size=(20, *x.shape))
    h = 1e-6
    slope = (energies(x + h * directions) - energies(x - h * directions)) / (2 * h)
    scale = np.sqrt(np.sum(forces**2))
    np.testing.assert_allclose(-slope, np.sum(forces * directions, (1, 2)), atol=1e-4 * scale)


def test_langevin_fluid_has_its_temperature(fluids):
    """1600 frames of 192 velocity components, correlated over some five frames.

    Sigma of the mean square: sqrt(2 * 5/(1600 * 192)) = 0.6 %.
    """
    v = np.asarray(fluids["ld"].velocities, np.float64)
    assert MASS * np.mean(v**2) == pytest.approx(KT, rel=4 * 0.006)


def test_sites_diffuse_more_slowly_than_without_forces(fluids):
    """D(t) = MSD/6t falls from D0 and levels off: the fluid is a liquid, neither gas nor solid."""
    d0 = KT / GAMMA
    for fluid in fluids.values():
        x = np.asarray(fluid.positions, np.float64).reshape(4, 400, SITES, 3)
        assert 0.2 * d0 < 3 * np.mean((x[:, 200:] - x[:, :200]) ** 2) / (6 * 10.0) < 0.6 * d0


def test_both_dynamics_have_the_same_equilibrium(fluids):
    """Mean energy, by four blocks of 5 ps a replica, within four standard errors."""
    means, errors = [], []
    for fluid in fluids.values():
        values = energies(fluid.positions).reshape(4, 400)
        mean, error = mean_and_error(np.concatenate([block_means(row, 4) for row in values]))
        means.append(mean)
        errors.append(error)
    assert abs(np.subtract(*means)) < 4 * np.hypot(*errors)
    assert max(errors) < 0.02 * abs(np.mean(means))


def test_replicas_are_independent(fluids):
    """Correlation of 192 velocity components: sigma 0.07."""
    first, second, *_ = replicas = fluids["ld"].replicas()
    assert len(replicas) == 4
    assert abs(np.corrcoef(first.velocities[-1].ravel(), second.velocities[-1].ravel())[0, 1]) < 0.3
