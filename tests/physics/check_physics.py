"""An outside judge of what our engines sample: `make test-physics`, some ten minutes.

The package physical_validation (P. T. Merz and M. R. Shirts, PLoS ONE 13, e0202764 (2018),
doi:10.1371/journal.pone.0202764) compares kinetic energies with the gamma distribution of a
temperature, and potential energies at two temperatures with the Boltzmann factor between them. A
deviation of more than 3 of its standard errors fails; a bath that is 2 % wrong has to fail.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import physical_validation
import pytest
from physical_validation.data import (
    EnsembleData,
    ObservableData,
    SimulationData,
    SystemData,
    UnitData,
)

from dynmatch.model import Model
from dynmatch.simulation.run import simulate
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import BOLTZMANN
from tests.helpers.models import grid, soft_model

T, HOTTER = 300.0, 309.0
WRONG = 1.02
"""Of a bath that claims to be 2 % colder than it is."""
SIGMAS = 3.0
TIME_STEP = 0.002
"""ps; with a step of 0.01 the kinetic energy of Langevin dynamics is 1 % low."""
REPLICAS, LENGTH, SPACING = 6, 200.0, 0.2
START = grid(4, 1.25)
UNITS = UnitData(
    kb=BOLTZMANN,
    energy_conversion=1.0,
    length_conversion=1.0,
    volume_conversion=1.0,
    temperature_conversion=1.0,
    pressure_conversion=1.0,
    time_conversion=1.0,
    energy_str="kJ/mol",
    length_str="nm",
    volume_str="nm^3",
    temperature_str="K",
    time_str="ps",
)
RUNS: dict[tuple[str, float], SiteTrajectory] = {}


def model_at(dynamics: str, temperature: float) -> Model:
    """The same potential, in kJ/mol, at any temperature."""
    return replace(soft_model(dynamics, TIME_STEP), temperature=temperature)


def run(dynamics: str, temperature: float) -> SiteTrajectory:
    """Six replicas pooled, made once."""
    if (dynamics, temperature) not in RUNS:
        RUNS[dynamics, temperature] = simulate(
            model_at(dynamics, temperature),
            START,
            length=LENGTH,
            frame_spacing=SPACING,
            equilibration=10.0,
            replicas=REPLICAS,
            seed=round(temperature),
        )
    return RUNS[dynamics, temperature]


def kinetic(trajectory: SiteTrajectory, model: Model) -> np.ndarray:
    """(F,) kJ/mol: with v = alpha p/m, p^2/2m is v^2 m/(2 alpha^2)."""
    (mass,) = model.identifiable()["mass_over_alpha2"]
    return 0.5 * mass * np.sum(trajectory.velocities.astype(np.float64) ** 2, (1, 2))


def potential(trajectory: SiteTrajectory, model: Model) -> np.ndarray:
    """(F,) kJ/mol."""
    tables = model.potential.tabulate(model.parameters)
    box = jnp.asarray(trajectory.box, jnp.float32)
    energy = jax.jit(
        jax.vmap(lambda x: model.potential.energy(tables, x, box, trajectory.topology))
    )
    parts = np.array_split(trajectory.positions, 50)
    return np.concatenate([np.asarray(energy(part), np.float64) for part in parts])


def judged(temperature: float, *, kinetic=None, potential=None) -> SimulationData:
    sites = START.n_sites
    volume = float(np.prod(START.box))
    return SimulationData(
        units=UNITS,
        dt=SPACING,
        system=SystemData(natoms=sites, nconstraints=0, ndof_reduction_tra=0, ndof_reduction_rot=0),
        ensemble=EnsembleData("NVT", natoms=sites, volume=volume, temperature=temperature),
        observables=ObservableData(kinetic_energy=kinetic, potential_energy=potential),
    )


def off_in_kinetic_energy(dynamics: str, temperature: float, claimed: float) -> float:
    model = model_at(dynamics, temperature)
    found = judged(claimed, kinetic=kinetic(run(dynamics, temperature), model))
    sigmas = physical_validation.kinetic_energy.distribution(
        found, strict=False, verbosity=0, bootstrap_seed=1
    )
    return max(map(abs, sigmas))


def off_in_potential_energy(dynamics: str, hotter: float) -> float:
    """Of the factor between T and `HOTTER`, where the second run was at `hotter`."""
    data = []
    for temperature, claimed in ((T, T), (hotter, HOTTER)):
        model = model_at(dynamics, temperature)
        energies = potential(run(dynamics, temperature), model)
        data.append(judged(claimed, potential=energies))
    (sigmas,) = physical_validation.ensemble.check(*data, verbosity=0, bootstrap_seed=1)
    return abs(sigmas)


@pytest.mark.parametrize("dynamics", ["ld", "gle"])
def test_kinetic_energies(dynamics):
    assert off_in_kinetic_energy(dynamics, T, T) < SIGMAS
    assert off_in_kinetic_energy(dynamics, T, T / WRONG) > SIGMAS


@pytest.mark.parametrize("dynamics", ["bd", "ld", "gle"])
def test_potential_energies_at_two_temperatures(dynamics):
    assert off_in_potential_energy(dynamics, HOTTER) < SIGMAS


def test_potential_energies_of_a_wrong_bath():
    assert off_in_potential_energy("ld", WRONG * HOTTER) > SIGMAS
