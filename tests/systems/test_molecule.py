"""A molecule in a solvent: its force field against OpenMM's, and the preset cut short."""

import subprocess
import sys

import mdtraj
import numpy as np
import openmm
import pandas as pd
import pytest
import yaml
from openmm import app, unit

from dynmatch.errors import DynmatchError
from dynmatch.sites.trajectory import read
from dynmatch.systems.all_atom.particles import degrees_of_freedom, masses
from dynmatch.systems.all_atom.simulation import ReferenceSettings, assemble, produce, segments
from dynmatch.systems.molecule.build import build_molecule
from dynmatch.systems.molecule.checks import assess
from dynmatch.units import AMU_PER_NM3
from tests.helpers.rule_files import ROOT

PDB = ROOT / "examples" / "dipeptide" / "alanine_dipeptide.pdb"
FORCE_FIELD = ["amber14/protein.ff14SB.xml"]


def energy_and_forces(system, positions):
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    state = context.getState(energy=True, forces=True)
    return state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value


def test_the_fast_solvent_is_that_of_the_force_field():
    """Energy and forces of OpenMM's implicit/obc2.xml, at a distorted configuration; the two hold
    Coulomb's constant to five digits."""
    made = build_molecule(PDB, FORCE_FIELD, 3.0)
    pdb = app.PDBFile(str(PDB))
    slow = app.ForceField(*FORCE_FIELD, "implicit/obc2.xml").createSystem(
        pdb.topology, constraints=app.HBonds, hydrogenMass=3 * unit.dalton
    )
    x = made.positions + 0.005 * np.random.default_rng(1).normal(size=made.positions.shape)
    energy, forces = energy_and_forces(made.system, x)
    expected, expected_forces = energy_and_forces(slow, x)
    assert energy == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(forces, expected_forces, atol=1e-4 * np.abs(forces).max())


def test_the_molecule_is_l_alanine():
    """(N - CA) x (C - CA) . (CB - CA) is positive for an L amino acid."""
    names = [f"{a.residue.name} {a.name}" for a in app.PDBFile(str(PDB)).topology.atoms()]
    x = build_molecule(PDB, FORCE_FIELD, 3.0).positions
    n, c, cb = (
        x[names.index(f"ALA {name}")] - x[names.index("ALA CA")] for name in ("N", "C", "CB")
    )
    assert np.dot(np.cross(n, c), cb) > 0


def test_bad_files_are_named(tmp_path):
    with pytest.raises(DynmatchError, match=r"reference.topology: .*absent.pdb"):
        build_molecule(tmp_path / "absent.pdb", FORCE_FIELD, 3.0)
    lines = PDB.read_text().splitlines(keepends=True)
    headless = tmp_path / "headless.pdb"
    headless.write_text("".join(line for line in lines if " HB1 ALA" not in line))
    with pytest.raises(DynmatchError, match=r"reference.force_field: .*headless.pdb"):
        build_molecule(headless, FORCE_FIELD, 3.0)


@pytest.fixture(scope="module")
def in_water(tmp_path_factory):
    """The molecule in explicit water: one replica, and the trajectory of it."""
    folder = tmp_path_factory.mktemp("water")
    molecule = build_molecule(PDB, FORCE_FIELD, 3.0, solvent="tip3p", padding=0.8, cutoff=0.75)
    settings = ReferenceSettings(
        temperature=300.0,
        time_step=0.004,
        friction=1.0,
        thermostat_frequency=None,
        replicas=1,
        equilibration=40.0,
        length=16.0,
        frame_spacing=0.08,
        segment=8.0,
        platform="CPU",
        threads=1,
        seed=1,
    )
    paths = produce(molecule, settings, folder)
    assemble(
        segments(paths, molecule, settings), molecule, settings, folder / "all.h5", velocities=False
    )
    return molecule, settings, paths, folder


def test_explicit_water_comes_to_its_density(in_water):
    """TIP3P has 0.98 g/cm^3 at 1 bar; a box of 150 molecules fluctuates by 2 %."""
    molecule, settings, paths, _ = in_water
    (replica,) = segments(paths, molecule, settings)
    state = openmm.XmlSerializer.deserialize(next(replica).end_state)
    volume = state.getPeriodicBoxVolume().value_in_unit(unit.nanometer**3)
    start = molecule.system.getDefaultPeriodicBoxVectors()[0][0].value_in_unit(unit.nanometer)
    assert volume != pytest.approx(start**3, rel=1e-6)
    assert masses(molecule.system).sum() * AMU_PER_NM3 / volume == pytest.approx(0.98, abs=0.06)


def test_only_the_molecule_is_recorded_and_it_is_whole(in_water):
    molecule, settings, paths, folder = in_water
    trajectory = mdtraj.load(str(folder / "all.h5"))
    names = [atom.name for atom in app.PDBFile(str(PDB)).topology.atoms()]
    assert [atom.name for atom in trajectory.topology.atoms] == names
    assert trajectory.n_frames == 200
    bonds = [(a.index, b.index) for a, b in trajectory.topology.bonds]
    lengths = mdtraj.compute_distances(trajectory, bonds, periodic=False)
    assert 0.08 < lengths.min() and lengths.max() < 0.18
    quality = assess(segments(paths, molecule, settings), molecule).set_index("quantity")
    value, error = quality.loc["temperature", ["value", "error"]]
    assert value == pytest.approx(300, abs=max(5 * error, 20))


def test_degrees_of_freedom_of_the_molecule_alone(in_water):
    """22 atoms and 12 rigid bonds to hydrogen; the water around it does not count."""
    molecule = in_water[0]
    alone = build_molecule(PDB, FORCE_FIELD, 3.0)
    assert molecule.system.getNumParticles() > 300
    assert degrees_of_freedom(molecule.system, molecule.recorded) == 3 * 22 - 12
    assert degrees_of_freedom(alone.system) == 3 * 22 - 12


def test_a_cutoff_beyond_the_water_is_refused():
    with pytest.raises(DynmatchError, match=r"reference.cutoff: 1.5 nm .* raise reference.padding"):
        build_molecule(PDB, FORCE_FIELD, 3.0, solvent="tip3p", padding=0.5, cutoff=1.5)


SHORT = {
    "models": ["ld"],
    "systems": {
        "dipeptide": {
            "reference": {
                "replicas": 2,
                "equilibration": 2.0,
                "length": 400.0,
                "segment": 100.0,
                "threads": 1,
            },
            "potential": {"hidden": [8]},
            "training": {"updates": 2, "windows": 4, "aa_windows": 4, "lags": [0.6]},
            "validation": {"replicas": 4, "length": 60.0, "equilibration": 1.0},
            "observables": {"correlation_length": 10.0, "timescale_lag": 4.0, "msd_length": 30.0},
        }
    },
}
"""What makes a minute of the preset."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Results of the preset, cut short, from nothing."""
    folder = tmp_path_factory.mktemp("dipeptide")
    short = folder / "short.yaml"
    short.write_text(yaml.safe_dump(SHORT))
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--configfile"]
    command += [ROOT / "config.yaml", ROOT / "presets" / "dipeptide.yaml", short]
    call = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert call.returncode == 0, call.stdout[-5000:]
    return folder / "results" / "dipeptide"


@pytest.mark.workflow
def test_the_reference_is_at_its_temperature_and_the_sites_are_its_atoms(run):
    """The solvent of 10/ps makes some 4000 independent temperatures of 400 ps: 300 K within 3 %."""
    quality = pd.read_csv(run / "dipeptide/reference/quality.csv").set_index("quantity")
    assert quality.loc["temperature", "value"] == pytest.approx(300, rel=0.03)
    sites = read(run / "dipeptide/projected.h5")
    assert sites.topology.names == ("C1", "O1", "N1", "CA", "CB", "C2", "O2", "N2")
    assert len(sites.replicas()) == 2
    bond = np.linalg.norm(sites.positions[:, 2] - sites.positions[:, 0], axis=-1)
    assert bond.mean() == pytest.approx(0.1335, abs=0.002)


@pytest.mark.workflow
def test_the_summary_compares_free_energy_populations_and_timescales(run):
    summary = pd.read_csv(run / "summary.csv")
    rows = summary[summary.model == "ld"].set_index(["observable", "metric"])
    assert 0 <= rows.loc[("fes", "jsd"), "value"] <= np.log(2)
    assert rows.loc["timescale_ratio"].index.tolist() == ["phi", "psi"]
    differences = rows.loc["population_difference"].value
    assert differences.abs().max() <= 1
    exported = {path.name for path in (run / "dipeptide/ld/seed-1/export").iterdir()}
    assert {"openmm", "not-written.txt"} <= exported


@pytest.mark.workflow
def test_trajectories_of_ones_own_give_the_same_sites(run, tmp_path):
    """The all-atom trajectory of the run, as a user has it: two XTC files and a PDB."""
    atoms = mdtraj.load(str(run / "dipeptide/reference/trajectory.h5"))
    second = int(np.flatnonzero(atoms.time == atoms.time[0])[1])
    atoms.unitcell_vectors = None
    atoms[:second].save_xtc(str(tmp_path / "run-1.xtc"))
    atoms[second:].save_xtc(str(tmp_path / "run-2.xtc"))
    reference = {"topology": str(PDB), "trajectories": ["run-*.xtc"]}
    own = {"systems": {"dipeptide": {**SHORT["systems"]["dipeptide"], "reference": reference}}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", tmp_path, "--configfile"]
    command += [ROOT / "config.yaml", ROOT / "presets" / "dipeptide.yaml", "own.yaml", "--"]
    command += ["results/dipeptide/dipeptide/reference/observables/ramachandran.csv"]
    call = subprocess.run(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert call.returncode == 0, call.stdout[-5000:]
    theirs, ours = (
        read(path / "dipeptide/projected.h5") for path in (run, tmp_path / "results/dipeptide")
    )
    assert ours.topology.names == theirs.topology.names
    # XTC rounds to 0.001 nm
    np.testing.assert_allclose(ours.positions, theirs.positions, atol=1.5e-3)
    np.testing.assert_allclose(ours.time, theirs.time - theirs.time[0], atol=1e-3)


@pytest.mark.workflow
def test_every_figure_is_there(run):
    figures = {path.name for path in (run / "figures").iterdir()}
    names = (
        "comparison",
        "diagnostics",
        "ramachandran",
        "torsions",
        "torsion_kinetics",
        "msd",
    )
    assert figures == {f"dipeptide_{name}.{kind}" for name in names for kind in ("pdf", "png")}
