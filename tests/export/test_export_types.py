"""Exported models of several types of sites: our own forces and dynamics in other engines."""

from dataclasses import replace

import ase
import numpy as np
import openmm
import pytest
from openmm import XmlSerializer

from dynmatch.api import load_model
from dynmatch.errors import DynmatchError
from dynmatch.export import lammps, openmm_files, openmm_system
from dynmatch.export.ase import DynmatchCalculator
from dynmatch.model import Model, save
from dynmatch.simulation.calculator import Evaluator
from dynmatch.sites.trajectory import SiteTrajectory
from tests.export.test_export import SITES as MANY
from tests.export.test_export import STEPS, TOLERANCE, free_msd
from tests.helpers.fluids import jittered_lattice
from tests.potentials.test_bonded import topology
from tests.potentials.test_molecular import FORM, parameters_of

pytestmark = pytest.mark.usefixtures("quick_compilation")

EDGE = 1.3
BOX = np.full(3, EDGE)
TYPES = np.array(FORM.types)


def trained(kind="ld") -> Model:
    """Two types, with bonds, an angle and a dihedral, and every parameter different from zero."""
    gamma, mass = np.array([520.0, 130.0]), np.array([25.0, 40.0])
    return Model(kind, FORM, parameters_of(FORM), gamma, 1.3, mass, 300.0, 0.005)


@pytest.fixture(scope="module")
def start() -> SiteTrajectory:
    sites = jittered_lattice(np.random.default_rng(3), EDGE, 0.03).astype(np.float32)
    names = "".join(FORM.names[number] for number in FORM.types)
    return SiteTrajectory(
        sites[None], np.zeros(1), np.ones(len(sites)), topology(names, FORM.bonds), BOX
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save(folder / "model.yaml", folder / "model.npz", trained(), {})
    return folder / "model.yaml"


def test_openmm_and_ase_have_our_energy_and_forces(start, kept):
    """To the rounding of single precision."""
    x = start.positions[0].astype(float)
    energy, forces = load_model(kept).evaluate(x, BOX)
    system = openmm_system.system(trained(), BOX, len(x))
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(x)
    state = context.getState(energy=True, forces=True)
    calculator = DynmatchCalculator(kept)
    atoms = ase.Atoms(f"He{len(x)}", 10 * x, cell=10 * BOX, pbc=True, calculator=calculator)
    kj = ase.units.kJ / ase.units.mol
    for e, f in (
        (state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value),
        (atoms.get_potential_energy() / kj, 10 * atoms.get_forces() / kj),
    ):
        assert e == pytest.approx(energy, rel=1e-4)
        np.testing.assert_allclose(f, forces, atol=1e-4 * np.abs(forces).max())


@pytest.mark.parametrize("kind", ["bd", "ld"])
def test_each_type_diffuses_in_openmm_as_it_was_learned(kind):
    """Free sites, half of either type, by the closed forms and tolerance of one type, times the
    square root of two."""
    form = replace(FORM, types=(0, 1) * (MANY // 2), bonded=())
    model = replace(trained(kind), form=form)
    system = openmm.System()
    physical = model.identifiable()
    mass = physical["mass_over_alpha2"] if kind == "ld" else np.ones(2)
    for site in openmm_system.of_sites(model, mass, MANY):
        system.addParticle(site)
    integrator = XmlSerializer.clone(openmm_system.integrator(model))
    integrator.setRandomNumberSeed(5)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatform("Reference"))
    context.setPositions(np.zeros((MANY, 3)))
    if kind == "ld":
        context.setVelocitiesToTemperature(model.temperature, 6)
    integrator.step(STEPS)
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    moved = np.sum(x**2, 1).reshape(-1, 2).mean(0)
    expected = [free_msd(one, STEPS) for one in model.of_types().values()]
    assert moved == pytest.approx(expected, rel=TOLERANCE * np.sqrt(2))


def test_what_is_not_written_is_refused(tmp_path, start):
    with pytest.raises(DynmatchError, match=r"several types of sites or bonds .* run it with"):
        lammps.write(tmp_path, trained(), start, "test")
    openmm_files.write(tmp_path, trained(), start)
    assert not (tmp_path / "system.xml").exists()
    assert "openmm_system.system" in (tmp_path / "run_openmm.py").read_text()


def test_another_number_of_sites_is_refused():
    with pytest.raises(DynmatchError, match="of 27 sites of given types, and here are 54"):
        Evaluator(trained(), BOX, 54)
