"""Exported models in a triclinic box in the real engines: our own energies and forces."""

import sys

import ase
import ase.units
import numpy as np
import openmm
import pytest
from openmm import XmlSerializer

from dynmatch.export import lammps, openmm_files, openmm_system
from dynmatch.export.ase import DynmatchCalculator
from dynmatch.export.lammps_driver import attach
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites.trajectory import SiteTrajectory
from tests.export.test_export import lammps_forces, started, trained
from tests.helpers.exported import kept
from tests.helpers.fluids import jittered_lattice, unbonded

pytestmark = pytest.mark.usefixtures("quick_compilation")

BOX = 1.5 * np.array([[1.0, 0, 0], [0.5, 1.0, 0], [-0.4, 0.2, 1.0]])
"""Tilted to the limit of LAMMPS and OpenMM in one of its planes, and close to it in another."""


def frame() -> SiteTrajectory:
    """27 sites, some of them in other images."""
    rng = np.random.default_rng(3)
    x = (jittered_lattice(rng, 1.0, 0.04) + rng.integers(-1, 2, (27, 3))) @ BOX
    x = x.astype(np.float32)
    return SiteTrajectory(x[None], np.zeros(1), np.full(27, 25.0), unbonded("W" * 27), BOX)


def ours(model) -> tuple[float, np.ndarray]:
    start = frame()
    return Calculator(model, BOX, start.topology)(start.positions[0])


def in_openmm(system) -> tuple[float, np.ndarray]:
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(frame().positions[0].astype(float))
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def test_tables_and_formulas_have_our_energy_and_forces(tmp_path):
    """To 1e-3 of the root mean square force, and of the energy, as in a rectangular box."""
    model = trained()
    energy, forces = ours(model)
    lammps.write(tmp_path, model, frame(), "test")
    openmm_files.write(tmp_path, model, frame(), "test")
    system = XmlSerializer.deserialize((tmp_path / "system.xml").read_text())
    for e, f in lammps_forces(started(tmp_path)), in_openmm(system):
        assert e == pytest.approx(energy, rel=1e-3)
        error = np.sqrt(np.mean((f - forces) ** 2))
        assert error < 1e-3 * np.sqrt(np.mean(forces**2))


def test_a_network_has_our_energy_and_forces_in_other_hands(tmp_path):
    """ASE's cell is turned as well."""
    model = trained(hidden=(4,))
    energy, forces = ours(model)
    path = kept(tmp_path, model)
    lammps.write(tmp_path, model, frame(), "test")
    lmp = started(tmp_path)
    attach(lmp, path)
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    x = frame().positions[0]
    atoms = ase.Atoms("He27", 10 * x @ turn, cell=10 * BOX @ turn, pbc=True)
    atoms.calc = DynmatchCalculator(path)
    kj = ase.units.kJ / ase.units.mol
    in_ase = atoms.get_potential_energy() / kj, 10 * atoms.get_forces() / kj @ turn.T
    system = openmm_system.system(model, BOX, 27)
    for e, f in lammps_forces(lmp), in_openmm(system), in_ase:
        assert e == pytest.approx(energy, rel=1e-4)
        np.testing.assert_allclose(f, forces, atol=2e-4 * np.abs(forces).max())


def test_the_exported_script_of_a_network_knows_the_box(tmp_path, monkeypatch):
    """From its own files, and not from the PDB file, which rounds angles."""
    model = trained(hidden=(4,))
    folder = tmp_path / "export" / "openmm"
    openmm_files.write(folder, model, frame(), "test")
    kept(tmp_path, model)
    # the script changes the folder, and the test is in another one
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run_openmm.py"])
    made = {"__file__": str(folder / "run_openmm.py")}
    exec((folder / "run_openmm.py").read_text().partition("simulation = ")[0], made)
    vectors = [vector._value for vector in made["system"].getDefaultPeriodicBoxVectors()]
    np.testing.assert_allclose(vectors, BOX, rtol=1e-12)
