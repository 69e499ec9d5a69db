"""Where a training of the dynamics starts: masses, frictions and frequencies of a reference."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.dynamics import rollout
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.initial import (
    einstein_friction,
    force_frequency,
    friction_in_liquid,
    mean_mass,
    start_values,
)
from dynmatch.potentials import bonded, pair
from dynmatch.potentials.bonded import Kind
from dynmatch.potentials.sum import Potential
from dynmatch.settings import InitialSettings
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Batch
from tests.helpers.fluids import bonded_sites, fluid
from tests.helpers.models import equation

KT = 2.5
SCALE = Scale(np.array([15.0, 17.0]), np.array([200.0, 400.0]), np.array([20.0, 10.0]))


def test_the_friction_of_one_molecule_is_shared_out_by_mass():
    """kT/D of its centre of mass, of a Brownian path of 200 ns in steps of 1 ps: windows of 100
    ps give D to some 4 %."""
    d, frames = 0.01, 200_000
    rng = np.random.default_rng(1)
    centre = np.cumsum(rng.normal(0, np.sqrt(2 * d), (frames, 3)), 0)
    masses = np.array([10.0, 30.0, 10.0])
    turning = 0.2 * rng.normal(size=(frames, 3, 3))
    turning -= np.average(turning, axis=1, weights=masses)[:, None]
    molecule = SiteTrajectory(
        (centre[:, None] + turning).astype(np.float32),
        np.arange(float(frames)),
        masses,
        bonded_sites("ABA", [(0, 1), (1, 2)]),
        np.full(3, 100.0),
    )
    assert mean_mass(molecule).tolist() == [10.0, 30.0]
    friction = einstein_friction(molecule, KT)
    assert friction[1] == pytest.approx(3 * friction[0])
    assert 2 * friction[0] + friction[1] == pytest.approx(KT / d, rel=0.1)


def rouse(frictions: np.ndarray, k: float, molecules: int, frames: int) -> np.ndarray:
    """Frames (F, N, 3), 1 ps apart, of free Brownian chains with springs k: exactly, by the normal
    modes of x' = -K x/gamma + noise."""
    n = len(frictions)
    springs = k * (np.diag([1.0, *[2.0] * (n - 2), 1.0]) - np.eye(n, k=1) - np.eye(n, k=-1))
    root = np.sqrt(frictions)
    rates, modes = np.linalg.eigh(springs / np.outer(root, root))
    rng = np.random.default_rng(3)
    free = np.arange(n) == np.argmin(rates)
    keep = np.where(free, 1.0, np.exp(-rates))
    noise = np.where(free, np.sqrt(2 * KT), np.sqrt(KT * (1 - keep**2) / np.where(free, 1, rates)))
    x = np.zeros((frames, molecules, n, 3))
    for number in range(1, frames):
        drawn = rng.normal(size=x.shape[1:])
        x[number] = keep[:, None] * x[number - 1] + noise[:, None] * drawn
    return np.einsum("ip,fmpx->fmix", modes / root[:, None], x).reshape(frames, -1, 3)


@pytest.mark.parametrize("frictions", [(150.0, 450.0), (200.0, 200.0, 200.0, 200.0)])
def test_frictions_of_free_chains_add_up(frictions):
    """D of the centre is kT/sum(gamma), of a free dimer and of a Rouse chain; sites of a molecule
    diffuse together, so that each has an equal share. 200 molecules, 400 ps: to 6 %."""
    names = "ABAB"[: len(frictions)]
    n = len(names)
    x = rouse(np.array(frictions), 2000.0, 200, 400)
    bonds = [(n * m + i, n * m + i + 1) for m in range(200) for i in range(n - 1)]
    chains = SiteTrajectory(
        x.astype(np.float32),
        np.arange(400.0),
        np.ones(200 * n),
        bonded_sites(names * 200, bonds),
        np.full(3, 1000.0),
    )
    np.testing.assert_allclose(einstein_friction(chains, KT), sum(frictions) / n, rtol=0.06)


def test_the_friction_is_found_that_moves_a_dense_liquid_of_dimers():
    """Langevin windows of 4 ps at a known friction; kT/D of the sites, shared by two, is more than
    1.5 times as high, because dimers hinder each other. Found again to 25 %: 27 dimers and 8
    windows give the displacement to some 6 %."""
    kind = Kind(("A", "A"), (0.25, 9000.0))
    terms = (pair.Form(("A",), 0.6, KT, 10, (0.36,)), bonded.Form((kind,)))
    potential, edge = Potential(terms, ("A",), KT), 1.5
    bonds = [(2 * n, 2 * n + 1) for n in range(27)]
    plan = rollout.RolloutPlan(
        equation("ld", 0.01), potential, bonded_sites("A" * 54, bonds), KT, (edge,) * 3, (400,)
    )
    truth = Scale(np.array([15.0]), np.array([100.0]), np.array([20.0]))
    tables = potential.tabulate(potential.initialise(jax.random.key(0)))
    heads = edge / 3 * np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), 1)
    x = np.stack([heads, heads + np.array([0.25, 0, 0])], 1).reshape(1, 54, 3)
    values = {name: jnp.asarray(v) for name, v in plan.equation.initial(truth).items()}
    keys = jax.random.split(jax.random.PRNGKey(5), 32)
    states = rollout.start(plan, values, tables, keys, jnp.asarray(np.repeat(x, 32, 0)))
    simulate = jax.jit(rollout.simulate_windows, static_argnums=0)
    for _ in range(3):
        states, frames = simulate(plan, values, tables, states)
    reference = Batch(np.asarray(frames.positions), np.asarray(frames.means))
    moved = reference.means[:, -1] - reference.means[:, 0]
    moved -= moved.mean(1, keepdims=True)
    d = np.mean(np.sum(moved**2, -1)) / (6 * 4.0)
    begin = replace(truth, friction=np.array([KT / (2 * d)]))
    assert begin.friction > 1.5 * truth.friction
    found = friction_in_liquid(plan, begin, tables, reference, 1)
    assert found == pytest.approx(truth.friction, rel=0.25)


def test_the_frequency_is_that_of_a_site_in_the_forces_of_the_others():
    """Bonds of stiffness k at temperature T: <F^2> = k kT of each end, a third of it along each
    axis, so that the frequency is (k/3m)^(1/2); to 3 %, of 20000 bonds."""
    k, count = 900.0, 1000
    bonds = fluid(("A", "B"), kT=KT, basis=8, degree=1, kinds=(Kind(("A", "B"), (0.4, k)),))
    parameters = bonds.initialise(jax.random.key(0))
    rng = np.random.default_rng(2)
    axes = rng.normal(size=(20, count, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    lengths = 0.4 + np.sqrt(KT / k) * rng.normal(size=(20, count, 1))
    heads = 2.0 * np.stack(np.unravel_index(np.arange(count), (10, 10, 10)), 1)
    ends = heads + lengths * axes
    frames = np.stack([np.broadcast_to(heads, ends.shape), ends], 2).reshape(20, -1, 3)
    topology = bonded_sites("AB" * count, [(2 * n, 2 * n + 1) for n in range(count)])
    mass = np.array([15.0, 60.0])
    found = force_frequency(
        bonds, parameters, topology, frames.astype(np.float32), np.full(3, 20.0), mass
    )
    np.testing.assert_allclose(found, np.sqrt(k / (3 * mass)), rtol=0.03)


def test_start_values_are_logarithms_of_those_of_the_equation():
    values = start_values(equation("ld", 0.01), SCALE, InitialSettings(), seed=1)
    np.testing.assert_allclose(np.exp(values["gamma"]), SCALE.friction, rtol=1e-6)
    np.testing.assert_allclose(np.exp(values["mass"]), SCALE.mass, rtol=1e-6)
    assert float(values["alpha"]) == 0.0


def test_a_training_can_be_started_wrong_by_given_factors():
    wrong = InitialSettings(gamma_factor=2.0, mass_factor=0.5)
    values = start_values(equation("ld", 0.01), SCALE, wrong, seed=1)
    np.testing.assert_allclose(np.exp(values["gamma"]), 2 * SCALE.friction, rtol=1e-6)
    np.testing.assert_allclose(np.exp(values["mass"]), 0.5 * SCALE.mass, rtol=1e-6)


def test_a_spread_of_the_friction_is_drawn_from_the_seed():
    """Log-uniform within the factor, the same for all types, 200 seeds: the standard deviation of
    the logarithm is ln(spread)/sqrt(3), to 15 %."""
    spread = InitialSettings(gamma_spread=3.0)
    drawn = []
    for seed in range(200):
        values = start_values(equation("bd", 0.01), SCALE, spread, seed)
        factors = np.exp(values["gamma"]) / SCALE.friction
        assert factors[0] == pytest.approx(factors[1], rel=1e-5)
        drawn.append(np.log(factors[0]))
    assert np.abs(drawn).max() <= np.log(3.0) + 1e-5
    assert np.std(drawn) == pytest.approx(np.log(3.0) / np.sqrt(3), rel=0.15)
    again = start_values(equation("bd", 0.01), SCALE, spread, 7)
    assert np.log(np.exp(again["gamma"][0]) / SCALE.friction[0]) == pytest.approx(drawn[7])
