"""Exported models in the real engines: the same energies, forces and dynamics as our own."""

from dataclasses import replace

import ase
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest
from openmm import XmlSerializer

from dynmatch.api import load_model
from dynmatch.errors import DynmatchError
from dynmatch.export import lammps, openmm_files, openmm_system
from dynmatch.export.ase import DynmatchCalculator
from dynmatch.export.lammps_driver import attach, engine
from dynmatch.model import Model, save
from dynmatch.potentials import potential
from dynmatch.simulation.calculator import Evaluator
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import jittered_lattice, random_parameters

KJ = 4.184
EDGE = 1.3


def trained(kind="bd", hidden=(), size=0.5) -> Model:
    """A model with two radial functions and every parameter different from zero.

    Radial functions of this size make the forces of triplets a tenth of all in `frame`, and this
    sign of their weights makes them repulsive.
    """
    form = potential.PotentialForm(0.6, 0.45, 0.25, 2.494, 30, 2, 3, hidden)
    drawn = random_parameters(form, 7, size)
    network = jax.tree.map(jnp.negative, drawn["network"])
    parameters = drawn | {"radial": 60 * drawn["radial"], "network": network}
    return Model(kind, form, parameters, 520.0, 1.3, 25.0, 300.0, 0.005)


def frame(edge=EDGE, spread=0.05) -> SiteTrajectory:
    """27 sites, which may lie outside the box."""
    positions = jittered_lattice(np.random.default_rng(3), edge, spread).astype(np.float32)
    n = len(positions)
    topology = independent_sites(["W"] * n, "SOL")
    return SiteTrajectory(
        positions[None], np.zeros(1), np.full(n, 25.0), topology, np.full(3, edge)
    )


def kept(folder, model: Model):
    """`model` on disk."""
    save(folder / "model.yaml", folder / "model.npz", model, {})
    return folder / "model.yaml"


def started(folder, options=()):
    """LAMMPS with the script in `folder` set up, and nothing run yet."""
    script = (folder / "in.lammps").read_text().replace("run ${steps}", "")
    for file in ("initial.data", "pair.table", "threebody.uf3"):
        script = script.replace(f" {file}", f" {folder / file}")
    script = script.replace("rdf.txt", str(folder / "rdf.txt"))
    script = script.replace("trajectory.lammpstrj", str(folder / "trajectory.lammpstrj"))
    lmp = engine(["-screen", "none", "-log", "none", *options])
    lmp.commands_string(script)
    return lmp


def lammps_forces(lmp) -> tuple[float, np.ndarray]:
    """Energy, kJ/mol, and forces, kJ/mol/nm, in the order of the sites."""
    lmp.command("run 0")
    order = np.argsort(lmp.numpy.extract_atom("id")[: lmp.get_natoms()])
    forces = lmp.numpy.extract_atom("f")[: lmp.get_natoms()][order]
    return lmp.get_thermo("pe") * KJ, forces * 10 * KJ


@pytest.fixture(scope="module")
def ours() -> tuple[float, np.ndarray]:
    return Evaluator(trained(), np.full(3, EDGE), 27)(frame().positions[0])


def test_lammps_has_our_energy_and_forces(tmp_path, ours):
    """To 1e-3 of the root mean square force, and of the energy: two tables, and splines."""
    lammps.write(tmp_path, trained(), frame(), "test")
    energy, forces = lammps_forces(started(tmp_path))
    assert energy == pytest.approx(ours[0], rel=1e-3)
    error = np.sqrt(np.mean((forces - ours[1]) ** 2))
    assert error < 1e-3 * np.sqrt(np.mean(ours[1] ** 2))


def test_openmm_has_our_energy_and_forces(tmp_path, ours):
    """From the XML file; 1e-3 for our own table of the pair term."""
    openmm_files.write(tmp_path, trained(), frame())
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
    model = trained(hidden=(4,))
    path = kept(tmp_path, model)
    box, x = np.full(3, EDGE), frame().positions[0]
    energy, forces = Evaluator(model, box, 27)(x)

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


def free_msd(model: Model, steps: int) -> float:
    """Mean squared displacement, nm^2, of a free site after that many steps, from rest in the mean.

    Brownian: 6 D0 (n - 1/2) dt of the Leimkuhler-Matthews scheme, less the first half noise, which
    engines begin without: 6 D0 dt (n - 3/4). Langevin: Ornstein and Uhlenbeck, thermal at t = 0.
    """
    physical = model.identifiable()
    d0, t = physical["d0_nm2_per_ps"], steps * model.time_step
    if model.kind == "bd":
        return 6 * d0 * model.time_step * (steps - 0.75)
    rate = physical["gamma_over_alpha"] / physical["mass_over_alpha2"]
    return 6 * d0 * (t - (1 - np.exp(-rate * t)) / rate)


STEPS = 200
SITES = 27 * 6**3
TOLERANCE = 5 * np.sqrt(2 / (3 * SITES)) + 0.01
"""Five standard errors, and 1 % for the integrators of Langevin dynamics at gamma dt/m = 0.1."""


@pytest.mark.parametrize(
    ("kind", "scheme"), [("ld", "gjf"), ("ld", "langevin"), ("bd", "gjf"), ("bd", "brownian")]
)
def test_free_diffusion_in_lammps(tmp_path, kind, scheme):
    """27 sites too far apart to interact, copied 216 times: friction, mass, units."""
    model = trained(kind)
    lammps.write(tmp_path, model, frame(27.0, 0.0), "test")
    lmp = started(tmp_path, ["-var", "copies", "6", "-var", "scheme", scheme])
    lmp.command(f"run {STEPS}")
    msd = lmp.numpy.extract_compute("msd", 0, 1)[3] / 100
    if scheme == "gjf":
        expected = free_msd(model, STEPS)
    elif scheme == "langevin":  # with a tenth of our time step
        expected = free_msd(replace(model, time_step=model.time_step / 10), STEPS)
    else:  # Euler-Maruyama, with a tenth of our time step
        expected = 6 * model.identifiable()["d0_nm2_per_ps"] * STEPS * model.time_step / 10
    assert msd == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.parametrize("kind", ["bd", "ld"])
def test_free_diffusion_in_openmm(kind):
    model = trained(kind)
    system = openmm.System()
    for _ in range(SITES):
        system.addParticle(model.identifiable()["mass_over_alpha2"] or 1.0)
    integrator = XmlSerializer.clone(openmm_system.integrator(model))
    integrator.setRandomNumberSeed(5)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatform("Reference"))
    context.setPositions(np.zeros((SITES, 3)))
    if kind == "ld":
        context.setVelocitiesToTemperature(model.temperature, 6)
    integrator.step(STEPS)
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    assert np.mean(np.sum(x**2, 1)) == pytest.approx(free_msd(model, STEPS), rel=TOLERANCE)
