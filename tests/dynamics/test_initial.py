"""Where a training of the dynamics starts: masses, frictions and frequencies of a reference."""

import jax
import numpy as np
import pytest

from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.initial import (
    einstein_friction,
    force_frequency,
    mean_mass,
    start_values,
)
from dynmatch.potentials.bonded import Kind
from dynmatch.settings import InitialSettings
from dynmatch.sites.trajectory import SiteTrajectory
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
