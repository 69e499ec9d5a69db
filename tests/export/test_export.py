"""Exported models in the real engines: the same energies, forces and dynamics as our own."""

import os
import subprocess
import sys
from dataclasses import replace

import ase
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from openmm import XmlSerializer
from scipy.linalg import expm

from dynmatch.api import load_model
from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.errors import DynmatchError
from dynmatch.export import lammps, lammps_script, openmm_files, openmm_system
from dynmatch.export.ase import DynmatchCalculator
from dynmatch.export.lammps_driver import attach, engine
from dynmatch.model import Model
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.exported import kept, model_of
from tests.helpers.fluids import fluid, jittered_lattice, random_parameters, unbonded
from tests.helpers.rule_files import ROOT

KJ = 4.184
EDGE = 1.3


def trained(kind="bd", hidden=(), size=0.5) -> Model:
    """A model with two radial functions and every parameter different from zero.

    Radial functions of this size make the forces of triplets a tenth of all in `frame`, and this
    sign of their weights makes them repulsive.
    """
    potential = fluid(kT=2.494, basis=30, channels=2, hidden=hidden)
    drawn = random_parameters(potential, 7, size)
    network = jax.tree.map(jnp.negative, drawn["network"])
    parameters = drawn | {"radial": 60 * drawn["radial"], "network": network}
    return model_of(kind, potential, parameters)


def frame(edge=EDGE, spread=0.05) -> SiteTrajectory:
    """27 sites, which may lie outside the box."""
    positions = jittered_lattice(np.random.default_rng(3), edge, spread).astype(np.float32)
    n = len(positions)
    return SiteTrajectory(
        positions[None], np.zeros(1), np.full(n, 25.0), unbonded("W" * n), np.full(3, edge)
    )


def started(folder, options=(), name="in.lammps"):
    """LAMMPS with the script in `folder` set up, and in.lammps not run yet."""
    script = (folder / name).read_text().replace("run ${steps}", "")
    for file in sorted(path.name for path in folder.iterdir() if path.suffix != ".lammps"):
        script = script.replace(f" {file}", f" {folder / file}")
    for file in ("rdf.txt", "trajectory.lammpstrj", " filled.data"):
        script = script.replace(file, f" {folder / file.strip()}")
    lmp = engine(["-screen", "none", "-log", "none", *options])
    lmp.commands_string(script)
    return lmp


def in_order(lmp, name: str) -> np.ndarray:
    """A quantity (N, 3) of LAMMPS, in the order of the sites."""
    order = np.argsort(lmp.numpy.extract_atom("id")[: lmp.get_natoms()])
    return lmp.numpy.extract_atom(name)[: lmp.get_natoms()][order]


def lammps_forces(lmp) -> tuple[float, np.ndarray]:
    """Energy, kJ/mol, and forces, kJ/mol/nm, in the order of the sites."""
    lmp.command("run 0")
    return lmp.get_thermo("pe") * KJ, in_order(lmp, "f") * 10 * KJ


@pytest.fixture(scope="module")
def ours() -> tuple[float, np.ndarray]:
    start = frame()
    return Calculator(trained(), start.box, start.topology)(start.positions[0])


def test_lammps_has_our_energy_and_forces(tmp_path, ours):
    """To 1e-3 of the root mean square force, and of the energy: two tables, and splines."""
    lammps.write(tmp_path, trained(), frame(), "test")
    energy, forces = lammps_forces(started(tmp_path))
    assert energy == pytest.approx(ours[0], rel=1e-3)
    error = np.sqrt(np.mean((forces - ours[1]) ** 2))
    assert error < 1e-3 * np.sqrt(np.mean(ours[1] ** 2))


def test_openmm_has_our_energy_and_forces(tmp_path, ours):
    """From the XML file; 1e-3 for our own table of the pair term."""
    openmm_files.write(tmp_path, trained(), frame(), "test")
    system = XmlSerializer.deserialize((tmp_path / "system.xml").read_text())
    energy, forces = openmm_forces(system)
    assert energy == pytest.approx(ours[0], rel=1e-3)
    error = np.sqrt(np.mean((forces - ours[1]) ** 2))
    assert error < 1e-3 * np.sqrt(np.mean(ours[1] ** 2))


def openmm_forces(system) -> tuple[float, np.ndarray]:
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(frame().positions[0].astype(float))
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def test_a_network_in_lammps_openmm_and_ase(tmp_path):
    """Our own forces in other hands: agreement to the rounding of single precision."""
    model, start = trained(hidden=(4,)), frame()
    path = kept(tmp_path, model)
    box, x = start.box, start.positions[0]
    energy, forces = Calculator(model, box, start.topology)(x)

    lammps.write(tmp_path, model, frame(), "test")
    assert not (tmp_path / "pair.table").exists()
    lmp = started(tmp_path)
    attach(lmp, path)
    in_openmm = openmm_forces(openmm_system.system(model, box, 27))
    atoms = ase.Atoms("He27", 10 * x, cell=10 * box, pbc=True, calculator=DynmatchCalculator(path))
    in_ase = atoms.get_potential_energy(), atoms.get_forces()
    kj = ase.units.kJ / ase.units.mol
    for e, f in (
        lammps_forces(lmp),
        in_openmm,
        (in_ase[0] / kj, 10 * in_ase[1] / kj),
        (load_model(path).energy(x, box), load_model(path).forces(x, box)),
    ):
        assert e == pytest.approx(energy, rel=1e-4)
        np.testing.assert_allclose(f, forces, atol=1e-4 * np.abs(forces).max())


def test_ase_refuses_a_cell_that_is_not_periodic(tmp_path):
    path = kept(tmp_path, trained())
    atoms = ase.Atoms("He27", frame().positions[0], calculator=DynmatchCalculator(path))
    with pytest.raises(DynmatchError, match="periodic"):
        atoms.get_potential_energy()


def test_engines_move_every_dynamics_or_refuse_it_by_name():
    from dynmatch.export import lammps_script

    assert lammps_script.MOTIONS.keys() == openmm_system.MOTIONS.keys() == DYNAMICS.keys()

    class Other:
        name = "other"

    model = replace(trained(), equation=Other())
    for module in (lammps_script, openmm_system):
        with pytest.raises(DynmatchError, match="no equation of motion for the dynamics other"):
            module.motion_of(model)


def free_velocities(model: Model, time: np.ndarray, number: int = 0) -> np.ndarray:
    """<v(0) v(t)> of a coordinate of a free site, nm^2/ps^2, where the model has velocities."""
    known = model.columns(number)
    mass = known["mass_over_alpha2"]
    if "strength" not in model.values:
        return model.kT / mass * np.exp(-known["gamma_over_alpha"] / mass * time)
    drift = model.equation.drift(model.values)[number]
    return model.kT / mass * np.array([expm(-drift * t)[0, 0] for t in time])


def free_msd(model: Model, steps: int, number: int = 0) -> float:
    """Mean squared displacement, nm^2, of a free site after that many steps, from rest in the mean.

    Brownian: 6 D0 (n - 1/2) dt of the Leimkuhler-Matthews scheme, less the first half noise, which
    engines begin without: 6 D0 dt (n - 3/4). Others: 6 int (t - s) <v(0) v(s)> ds.
    """
    if not DYNAMICS[model.equation.name].velocities:
        d0 = model.columns(number)["d0_nm2_per_ps"]
        return 6 * d0 * model.time_step * (steps - 0.75)
    time = np.linspace(0, steps * model.time_step, 801)
    return 6 * np.trapezoid((time[-1] - time) * free_velocities(model, time, number), time)


STEPS = 200
SITES = 27 * 6**3
TOLERANCE = 5 * np.sqrt(2 / (3 * SITES)) + 0.01
"""Five standard errors, and 1 % for the integrators of Langevin dynamics at gamma dt/m = 0.1."""


def with_step(model: Model, time_step: float) -> Model:
    return replace(model, equation=replace(model.equation, time_step=time_step))


def far_apart(folder, kind: str, *options: str):
    """The model, and LAMMPS with 27 of its sites too far apart to interact, copied 216 times."""
    model = trained(kind)
    lammps.write(folder, model, frame(27.0, 0.0), "test")
    return model, started(folder, ["-var", "copies", "6", *options])


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [("ld", "gjf"), ("ld", "langevin"), ("bd", "gjf"), ("bd", "brownian"), ("gle", "")],
)
def test_free_diffusion_in_lammps(tmp_path, kind, scheme):
    """Friction, mass, memory, units."""
    model, lmp = far_apart(tmp_path, kind, *(["-var", "scheme", scheme] if scheme else []))
    lmp.command(f"run {STEPS * lammps_script.MOTIONS[kind].refined}")
    msd = lmp.numpy.extract_compute("msd", 0, 1)[3] / 100
    if scheme == "langevin":  # with a tenth of our time step
        expected = free_msd(with_step(model, model.time_step / 10), STEPS)
    elif scheme == "brownian":  # Euler-Maruyama, with a tenth of our time step
        expected = 6 * model.columns(0)["d0_nm2_per_ps"] * STEPS * model.time_step / 10
    else:
        expected = free_msd(model, STEPS)
    assert msd == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("kind", ["ld", "bd"])
def test_a_scheme_that_lammps_has_not_is_refused(tmp_path, kind):
    """In a process of its own, which LAMMPS ends."""
    lammps.write(tmp_path, trained(kind), frame(), "test")
    run = "from dynmatch.export.lammps_driver import engine; import sys; "
    run += "engine(['-log', 'none', '-var', 'scheme', 'foo']).file('in.lammps')"
    command = [sys.executable, "-c", run]
    paths = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True)
    assert done.returncode == 1
    assert "ERROR: -var scheme foo is unknown, choose gjf or" in done.stdout


def in_openmm(model: Model, topology):
    """A context of free sites, all at the origin, with velocities where the model has any."""
    system = openmm.System()
    for mass in openmm_system.motion_of(model).masses(model, topology).tolist():
        system.addParticle(mass)
    integrator = XmlSerializer.clone(openmm_system.integrator(model, topology))
    integrator.setRandomNumberSeed(5)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatform("Reference"))
    context.setPositions(np.zeros((topology.n_sites, 3)))
    if DYNAMICS[model.equation.name].velocities:
        context.setVelocitiesToTemperature(model.temperature, 6)
    return context, integrator


@pytest.mark.parametrize("kind", DYNAMICS)
def test_free_diffusion_in_openmm(kind):
    model = trained(kind)
    context, integrator = in_openmm(model, unbonded("W" * SITES))
    integrator.step(STEPS)
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    assert np.mean(np.sum(x**2, 1)) == pytest.approx(free_msd(model, STEPS), rel=TOLERANCE)


EVERY = 4
FRAMES = 120


def assert_the_closed_form(model: Model, velocities: np.ndarray, number: int = 0) -> None:
    """Velocities (F, N, 3), nm/ps, every EVERY steps: kT/m, and the VACF, over all time origins.

    Successive values of a coordinate are correlated over some 0.2 ps, a tenth of the run, so that
    five standard errors of a correlation, over the variance, are 5/sqrt(10 x 3 N).
    """
    lags = np.arange(FRAMES // 3)
    found = [np.mean(velocities[: FRAMES - lag] * velocities[lag:]) for lag in lags]
    expected = free_velocities(model, lags * EVERY * model.time_step, number)
    assert expected.min() < -0.25 * expected[0]
    tolerance = 5 / np.sqrt(10 * 3 * velocities.shape[1]) + 0.001
    np.testing.assert_allclose(found, expected, atol=tolerance * expected[0])


def test_velocities_of_free_sites_with_memory_in_lammps(tmp_path):
    """The kernel and the initial state, which is one of equilibrium: the first frames count too."""
    model, lmp = far_apart(tmp_path, "gle")
    velocities = []
    for _ in range(FRAMES):
        velocities.append(100 * in_order(lmp, "v"))
        lmp.command(f"run {EVERY * lammps_script.MOTIONS['gle'].refined} post no")
    assert_the_closed_form(model, np.array(velocities))


def test_velocities_of_free_sites_with_memory_in_openmm():
    model = trained("gle")
    context, integrator = in_openmm(model, unbonded("W" * 1000))
    velocities = []
    for _ in range(FRAMES):
        state = context.getState(velocities=True)
        velocities.append(state.getVelocities(asNumpy=True)._value)
        integrator.step(EVERY)
    assert_the_closed_form(model, np.array(velocities))
