"""An outside judge of what our engines and our exports sample: `make test-physics`.

The package physical_validation (P. T. Merz and M. R. Shirts, PLoS ONE 13, e0202764 (2018),
doi:10.1371/journal.pone.0202764) compares kinetic energies with the gamma distribution of a
temperature, and potential energies at two temperatures with the Boltzmann factor between them. A
deviation of more than 3 of its standard errors fails; a bath that is 2 % wrong has to fail.

Every sample is pooled over runs with random numbers of their own.
"""

import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import openmm
import physical_validation
import pytest
from openmm import XmlSerializer
from physical_validation.data import (
    EnsembleData,
    ObservableData,
    SimulationData,
    SystemData,
    UnitData,
)

import dynmatch
from dynmatch.export import lammps, openmm_files
from dynmatch.model import Model
from dynmatch.settings import PotentialSettings, StartSettings, TrainingSettings
from dynmatch.simulation.run import simulate
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import BOLTZMANN
from tests.export.test_export import trained, with_step
from tests.helpers.models import grid

T, HOTTER = 300.0, 309.0
WRONG = 1.02
"""Of a bath that claims to be 2 % colder than it is."""
SIGMAS = 3.0
STEP = 0.008
"""ps"""
RUNS, LENGTH, SPACING = 6, 200.0, 0.4
"""Runs that are pooled, and their length and frame spacing, ps."""
EQUILIBRATION = 20.0
FEW, SHORT = 3, 60.0
"""Of OpenMM, whose forces on triplets take twenty times as long as those of LAMMPS."""
START = grid(4, 1.3 * 4 / 3)
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


def model_of(dynamics: str) -> Model:
    """Of dynamics of this kind, with a pair and a three-body term that other engines take."""
    return with_step(trained(dynamics), STEP)


@cache
def learned() -> Model:
    """What a short training makes of the trajectory of the Langevin model."""
    settings = TrainingSettings(
        lags=(SPACING,),
        updates=4,
        windows=2,
        aa_windows=8,
        start=StartSettings(updates=30, replicas=2),
    )
    settings = replace(settings, ld=replace(settings.ld, time_step=STEP))
    form = PotentialSettings(pair_basis=20, hidden=())
    run = simulated("ld", T)
    return dynmatch.train(run, "ld", temperature=T, potential=form, settings=settings).model


@cache
def simulated(dynamics: str, temperature: float) -> SiteTrajectory:
    """Our own runs, pooled, of a dynamics or of the model that was `learned`.

    The potential is the same, in kJ/mol, at any temperature.
    """
    model = learned() if dynamics == "learned" else model_of(dynamics)
    return simulate(
        replace(model, temperature=temperature),
        START,
        length=LENGTH,
        frame_spacing=SPACING,
        equilibration=EQUILIBRATION,
        replicas=RUNS,
        seed=round(temperature),
    )


def in_lammps(temperature: float) -> np.ndarray:
    """Positions (F, N, 3), nm, of runs of the exported Langevin model in LAMMPS."""
    model = replace(model_of("ld"), temperature=temperature)
    steps, every = round((EQUILIBRATION + LENGTH) / STEP), round(SPACING / STEP)
    frames = []
    with TemporaryDirectory() as folder:
        lammps.write(folder, model, START, "test")
        for seed in range(1, RUNS + 1):
            words = {"steps": steps, "every": every, "seed": round(temperature) + 1000 * seed}
            options = [word for item in words.items() for word in ("-var", *map(str, item))]
            lmp = Path(sys.prefix) / "bin" / "lmp"
            command = [lmp, "-in", "in.lammps", "-screen", "none", *options]
            subprocess.run(command, cwd=folder, check=True)
            file = f"{folder}/trajectory.lammpstrj"
            run = mdtraj.load(file, top=START.topology.to_mdtraj(), unit_set="real")
            frames.append(run.xyz[round(EQUILIBRATION / SPACING) :])
    return np.concatenate(frames)


def in_openmm(temperature: float) -> np.ndarray:
    """Positions (F, N, 3), nm, of runs of the exported Langevin model in OpenMM."""
    model = replace(model_of("ld"), temperature=temperature)
    with TemporaryDirectory() as folder:
        openmm_files.write(folder, model, START, "test")
        texts = [Path(folder, f"{name}.xml").read_text() for name in ("system", "integrator")]
    frames = []
    for seed in range(1, FEW + 1):
        system, integrator = map(XmlSerializer.deserialize, texts)
        integrator.setRandomNumberSeed(round(temperature) + 1000 * seed)
        platform = openmm.Platform.getPlatform("CPU")
        context = openmm.Context(system, integrator, platform, {"Threads": "1"})
        context.setPositions(START.positions[0].astype(float))
        context.setVelocitiesToTemperature(temperature, seed)
        integrator.step(round(EQUILIBRATION / STEP))
        for _ in range(round(SHORT / SPACING)):
            integrator.step(round(SPACING / STEP))
            state = context.getState(positions=True)
            frames.append(state.getPositions(asNumpy=True)._value)
    return np.array(frames, np.float32)


def kinetic(trajectory: SiteTrajectory, model: Model) -> np.ndarray:
    """(F,) kJ/mol: with v = alpha p/m, p^2/2m is v^2 m/(2 alpha^2)."""
    (mass,) = model.identifiable()["mass_over_alpha2"]
    return 0.5 * mass * np.sum(trajectory.velocities.astype(np.float64) ** 2, (1, 2))


def potential(positions: np.ndarray, model: Model) -> np.ndarray:
    """(F,) kJ/mol of positions (F, N, 3), nm."""
    tables = model.potential.tabulate(model.parameters)
    box = jnp.asarray(START.box, jnp.float32)
    energy = jax.jit(jax.vmap(lambda x: model.potential.energy(tables, x, box, START.topology)))
    parts = np.array_split(positions, 50)
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


def off_in_kinetic_energy(energies: np.ndarray, claimed: float) -> float:
    """Standard errors that mean and width are off those of the temperature that is claimed, K."""
    found = judged(claimed, kinetic=energies)
    sigmas = physical_validation.kinetic_energy.distribution(
        found, strict=False, verbosity=0, bootstrap_seed=1
    )
    return max(map(abs, sigmas))


def off_in_potential_energy(colder: np.ndarray, hotter: np.ndarray) -> float:
    """Standard errors that the factor between energies at T and those claimed to be at HOTTER is
    off."""
    data = [judged(T, potential=colder), judged(HOTTER, potential=hotter)]
    (sigmas,) = physical_validation.ensemble.check(*data, verbosity=0, bootstrap_seed=1)
    return abs(sigmas)


@pytest.mark.parametrize("dynamics", ["ld", "gle"])
def test_kinetic_energies(dynamics):
    energies = kinetic(simulated(dynamics, T), model_of(dynamics))
    assert off_in_kinetic_energy(energies, T) < SIGMAS
    assert off_in_kinetic_energy(energies, T / WRONG) > SIGMAS


@pytest.mark.parametrize("dynamics", ["bd", "ld", "gle", "learned"])
def test_potential_energies_at_two_temperatures(dynamics):
    model = learned() if dynamics == "learned" else model_of(dynamics)
    colder, hotter = (potential(simulated(dynamics, t).positions, model) for t in (T, HOTTER))
    assert off_in_potential_energy(colder, hotter) < SIGMAS


def test_potential_energies_of_a_wrong_bath():
    model = model_of("ld")
    colder, hotter = (potential(simulated("ld", t).positions, model) for t in (T, WRONG * HOTTER))
    assert off_in_potential_energy(colder, hotter) > SIGMAS


@pytest.mark.parametrize("engine", [in_lammps, in_openmm])
def test_potential_energies_of_the_exported_model(engine):
    colder, hotter = (potential(engine(t), model_of("ld")) for t in (T, HOTTER))
    assert off_in_potential_energy(colder, hotter) < SIGMAS
