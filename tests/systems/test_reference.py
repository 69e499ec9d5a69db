"""All-atom reference: geometry of the box, sampling, and exact continuation of a killed run."""

import logging
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import chain
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pandas as pd
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.statistics import block_means, mean_and_error
from dynmatch.systems.all_atom.liquid_checks import assess, require_sound
from dynmatch.systems.all_atom.particles import degrees_of_freedom, masses
from dynmatch.systems.all_atom.segments import Segment
from dynmatch.systems.all_atom.simulation import (
    ReferenceSettings,
    assemble,
    equilibrate,
    produce,
    segments,
    simulate_segment,
)
from dynmatch.systems.water.box import WATER_MODELS, build_box, lattice_positions
from dynmatch.systems.water.projection import project
from dynmatch.units import AMU_PER_NM3, BOLTZMANN
from tests.helpers.rule_files import ROOT

DENSITY = 0.997
SETTINGS = ReferenceSettings(
    temperature=300.0,
    time_step=0.002,
    friction=5.0,
    thermostat_frequency=1.0,
    replicas=2,
    equilibration=0.5,
    length=0.6,
    frame_spacing=0.01,
    segment=0.2,
    platform="CPU",
    threads=1,
    seed=1,
)


def small_box(model: str = "spce", molecules: int = 27, **others):
    return build_box(model, molecules, DENSITY, **{"cutoff": 0.45} | others)


@pytest.fixture(scope="module")
def box():
    return small_box()


def simulate(box, settings: ReferenceSettings, folder: Path) -> list[list[Segment]]:
    """Produce what `folder` lacks, and read all of it: the segments of each replica."""
    return [list(replica) for replica in segments(produce(box, settings, folder), box, settings)]


@pytest.fixture(scope="module")
def unbroken_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("unbroken")


@pytest.fixture(scope="module")
def unbroken(box, unbroken_folder):
    """The segments of one run from beginning to end, in `unbroken_folder`."""
    return simulate(box, SETTINGS, unbroken_folder)


def assert_same(one: list[list[Segment]], other: list[list[Segment]]) -> None:
    """Equal bit for bit, states in double precision included."""
    assert [len(replica) for replica in one] == [len(replica) for replica in other]
    for a, b in zip(chain(*one), chain(*other), strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.velocities, b.velocities)
        np.testing.assert_array_equal(a.conserved, b.conserved)
        assert a.end_state == b.end_state


@pytest.mark.parametrize("molecules", [27, 50])
def test_box_has_the_density_asked_for(molecules):
    box = small_box(molecules=molecules)
    assert masses(box.system).sum() * AMU_PER_NM3 / box.edge**3 == pytest.approx(DENSITY, rel=1e-12)
    edges = np.diag([[v.x, v.y, v.z] for v in box.system.getDefaultPeriodicBoxVectors()])
    np.testing.assert_allclose(edges, box.edge, rtol=1e-12)
    # 33.33 molecules per nm^3: 18.015 g/mol at 0.997 g/cm^3
    assert molecules / box.edge**3 == pytest.approx(33.33, abs=0.01)


def test_molecules_start_on_a_lattice_with_random_orientations():
    count = 343
    box = small_box(molecules=count)
    atoms = lattice_positions(box, seed=1).reshape(count, 3, 3)
    difference = atoms[:, None, 0] - atoms[None, :, 0]
    difference -= box.edge * np.round(difference / box.edge)
    distance = np.linalg.norm(difference, axis=-1) + 10 * np.eye(count)
    np.testing.assert_allclose(distance.min(axis=1), box.edge / 7, rtol=1e-9)
    dipole = atoms[:, 1:].mean(axis=1) - atoms[:, 0]
    dipole /= np.linalg.norm(dipole, axis=1, keepdims=True)
    # each component of a random unit vector has variance 1/3; 4 sigma
    assert np.all(np.abs(dipole.mean(axis=0)) < 4 / np.sqrt(3 * count))


@pytest.mark.parametrize(
    ("model", "bond", "angle"),
    [("spce", 0.1, 109.47), ("tip3p", 0.09572, 104.52), ("tip4pew", 0.09572, 104.52)],
)
def test_molecules_keep_the_geometry_of_their_model(model, bond, angle):
    """Berendsen 1987 (SPC/E), Jorgensen 1983 (TIP3P), Horn 2004 (TIP4P-Ew)."""
    box = small_box(model)
    state = openmm.XmlSerializer.deserialize(equilibrate(box, replace(SETTINGS, equilibration=0.1)))
    x = state.getPositions(asNumpy=True).value_in_unit(openmm.unit.nanometer).reshape(27, -1, 3)
    arms = x[:, 1:3] - x[:, :1]
    lengths = np.linalg.norm(arms, axis=-1)
    # OpenMM's constraint tolerance is 1e-5
    np.testing.assert_allclose(lengths, bond, rtol=5e-5)
    cosine = np.sum(arms[:, 0] * arms[:, 1], axis=-1) / lengths.prod(axis=-1)
    np.testing.assert_allclose(np.degrees(np.arccos(cosine)), angle, atol=0.01)
    if model == "tip4pew":
        site = x[:, 3] - x[:, 0]
        np.testing.assert_allclose(np.linalg.norm(site, axis=-1), 0.0125, rtol=1e-3)
        np.testing.assert_allclose(np.cross(site, arms.sum(axis=1)), 0, atol=1e-6)


@pytest.mark.parametrize("model", WATER_MODELS)
def test_every_model_on_offer_has_a_rigid_molecule_without_charge(model):
    box = small_box(model)
    assert degrees_of_freedom(box.system) == 6 * 27 - 3
    (nonbonded,) = (f for f in box.system.getForces() if isinstance(f, openmm.NonbondedForce))
    count = box.system.getNumParticles()
    charges = [nonbonded.getParticleParameters(i)[0]._value for i in range(count)]
    np.testing.assert_allclose(np.reshape(charges, (27, -1)).sum(axis=1), 0, atol=1e-6)


@pytest.fixture(scope="module")
def production(box, tmp_path_factory):
    """8 ps with a frame every 0.05 ps and an energy every 1 ps; and its kinetic energies."""
    settings = replace(SETTINGS, time_step=0.001, frame_spacing=0.05, equilibration=3.0)
    settings = replace(settings, length=8.0, segment=8.0, replicas=1)
    ((segment,),) = simulate(box, settings, tmp_path_factory.mktemp("production"))
    speed2 = np.sum(segment.velocities**2, axis=-1)
    return segment, speed2 @ masses(box.system) / 2


def test_production_conserves_the_energy_of_particles_and_thermostat(box, production):
    segment, kinetic = production
    # what kinetic, potential and thermostat energy exchange: sd up to sqrt(f / 2) kB T
    exchange = np.sqrt(degrees_of_freedom(box.system) / 2) * BOLTZMANN * 300
    assert np.std(kinetic) > 0.3 * exchange
    # velocities are half a step behind the positions: an error of order dt/2 d(kinetic)/dt
    assert np.std(segment.conserved) < 0.15 * exchange


def test_production_has_the_temperature_asked_for(box, production):
    _, kinetic = production
    temperature = 2 * kinetic / (degrees_of_freedom(box.system) * BOLTZMANN)
    mean, error = mean_and_error(block_means(temperature))
    assert error < 15
    assert abs(mean - 300) < 4 * error


def test_killed_run_continues_as_if_nothing_had_happened(box, unbroken, tmp_path):
    """SIGKILL in the midst of production; the rest is then simulated bit for bit the same."""
    code = (
        "from tests.systems.test_reference import *;"
        "produce(small_box(), replace(SETTINGS, threads=2), Path(sys.argv[1]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"},
        stderr=subprocess.DEVNULL,
    )
    while not list(tmp_path.glob("*/segment-000.h5")):
        assert process.poll() is None, "the run ended before its first segment"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(tmp_path.glob("*/segment-002.h5"))
    assert_same(simulate(box, SETTINGS, tmp_path), unbroken)


def test_replicas_are_independent_samples_of_one_box(box, unbroken):
    one, other = (np.concatenate([part.velocities for part in replica]) for replica in unbroken)
    # as uncorrelated as two draws of 27 x 3 centre-of-mass velocities: 4 sigma
    one, other = (v[0].reshape(27, 3, 3).mean(axis=1).ravel() for v in (one, other))
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(len(one))
    oxygens = [lattice_positions(box, seed)[::3] for seed in (1, 2)]
    hydrogens = [lattice_positions(box, seed)[1::3] for seed in (1, 2)]
    np.testing.assert_array_equal(*oxygens)
    assert np.abs(hydrogens[0] - hydrogens[1]).max() > 0.1


def test_replicas_side_by_side_are_those_one_after_the_other(box, unbroken, tmp_path):
    assert_same(simulate(box, replace(SETTINGS, threads=2), tmp_path), unbroken)


def test_more_replicas_leave_those_before_as_they_are(box, unbroken, tmp_path):
    produce(box, replace(SETTINGS, replicas=1), tmp_path)
    (before,) = tmp_path.iterdir()
    written = (before / "segment-002.h5").stat().st_mtime_ns
    assert_same(simulate(box, SETTINGS, tmp_path), unbroken)
    assert (before / "segment-002.h5").stat().st_mtime_ns == written


def test_longer_run_continues_a_shorter_one(box, unbroken, tmp_path):
    produce(box, replace(SETTINGS, length=0.4), tmp_path)
    files = sorted(tmp_path.glob("*/*.h5"))
    written = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 4
    assert_same(simulate(box, SETTINGS, tmp_path), unbroken)
    assert [file.stat().st_mtime_ns for file in files] == written


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_damaged_segment_is_named_and_simulated_again(
    box, unbroken, unbroken_folder, tmp_path, caplog, damage
):
    shutil.copytree(unbroken_folder, tmp_path, dirs_exist_ok=True)
    sound, damaged = sorted(tmp_path.glob("*/segment-001.h5"))
    content = bytearray(damaged.read_bytes())
    # velocities follow positions, of the same size: this is within the data
    content[len(content) // 2] ^= 1
    size = {"flipped": len(content), "truncated": len(content) // 2, "empty": 0}[damage]
    damaged.write_bytes(content[:size])
    written = sound.stat().st_mtime_ns
    with caplog.at_level(logging.WARNING):
        assert_same(simulate(box, SETTINGS, tmp_path), unbroken)
    assert str(damaged) in caplog.text
    assert "segment-000.h5" not in caplog.text
    assert sound.stat().st_mtime_ns == written


def test_segments_of_other_settings_are_not_continued(box, unbroken, tmp_path, caplog):
    produce(box, replace(SETTINGS, temperature=310.0, length=0.2), tmp_path)
    with caplog.at_level(logging.WARNING):
        assert_same(simulate(box, SETTINGS, tmp_path), unbroken)
    assert "other settings" in caplog.text


def test_assembled_replicas_have_neither_gap_nor_repeat(box, unbroken, tmp_path):
    # 2.5 segments
    settings = replace(SETTINGS, length=0.5)
    path = tmp_path / "trajectory.h5"
    assemble(unbroken, box, settings, path)
    trajectory = mdtraj.load(path)
    np.testing.assert_allclose(trajectory.time, np.tile(0.01 * np.arange(50), 2), rtol=1e-6)
    np.testing.assert_allclose(trajectory.unitcell_lengths, box.edge, rtol=1e-6)
    assert [residue.n_atoms for residue in trajectory.topology.residues] == [3] * 27
    for replica, positions in zip(unbroken, np.split(trajectory.xyz, 2), strict=True):
        joined = np.concatenate([segment.positions for segment in replica])
        np.testing.assert_array_equal(positions, joined[:50])
        # 10 fs of thermal motion: 0.027 nm for a hydrogen at its mean speed
        step = np.abs(np.diff(positions, axis=0)).max(axis=(1, 2))
        assert step.max() < 0.15


def test_damaged_trajectory_is_noticed(box, unbroken, tmp_path):
    """One bit, in the coordinates: the array's checksum does not fit any more."""
    path = tmp_path / "trajectory.h5"
    assemble(unbroken, box, SETTINGS, path)
    content = bytearray(path.read_bytes())
    content[content.index(unbroken[0][1].positions[5, 7].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(DynmatchError, match=re.escape(str(path))):
        project(path, box.system, platform="CPU", threads=1, replicas=2, frames=60)


def test_quality_of_all_replicas_is_their_mean(box, unbroken):
    table = assess(unbroken, box, SETTINGS).set_index("quantity")
    alone = [assess([one], box, SETTINGS).set_index("quantity")["value"] for one in unbroken]
    assert table["value"]["density"] == pytest.approx(DENSITY, rel=1e-9)
    for quantity in (
        "temperature",
        "potential_energy_per_molecule",
        "energy_drift_per_degree_of_freedom",
    ):
        mean = (alone[0][quantity] + alone[1][quantity]) / 2
        assert table["value"][quantity] == pytest.approx(mean, rel=1e-12)
    energies = [one["potential_energy_per_molecule"] for one in alone]
    apart = "potential_energy_difference_of_replicas"
    assert table["value"][apart] == pytest.approx(abs(energies[0] - energies[1]), rel=1e-9)
    assert alone[0][apart] == 0
    energy = table["value"]["potential_energy_per_molecule"]
    # SPC/E at 298 K: -46.7 kJ/mol (Berendsen 1987, without polarisation correction)
    assert energy == pytest.approx(-46.7, abs=5)


@pytest.mark.parametrize(
    ("quantity", "value", "key"),
    [
        ("temperature", 330.0, "water.reference.equilibration"),
        ("potential_energy_difference_of_replicas", 0.7, "not at equilibrium.*equilibration"),
        ("energy_drift_per_degree_of_freedom", -3.0, "water.reference.time_step"),
        ("diffusion", 1e-7, "frozen"),
        ("diffusion", 1.0, "flies apart"),
    ],
)
def test_quality_fails_a_production_that_is_no_liquid_at_rest(quantity, value, key):
    sound = {
        "temperature": (300.0, 2.0),
        "potential_energy_difference_of_replicas": (0.2, 0.1),
        "energy_drift_per_degree_of_freedom": (0.01, 0.01),
        "diffusion": (2.3e-3, 1e-4),
    }
    settings = replace(SETTINGS, where="systems.water.reference")

    def table(rows):
        frame = pd.DataFrame(rows, index=["value", "error"]).T
        return frame.rename_axis("quantity").reset_index()

    require_sound(table(sound), settings)
    with pytest.raises(DynmatchError, match=key):
        require_sound(table(sound | {quantity: (value, sound[quantity][1])}), settings)


def test_time_step_beyond_stability_is_reported(box, tmp_path):
    settings = replace(SETTINGS, time_step=0.02, frame_spacing=0.2, equilibration=20.0)
    told = (
        r"replica \d at step \d+, last potential energies \(.*\): .*\d; make reference\.time_step"
    )
    with pytest.raises(DynmatchError, match=told):
        produce(box, settings, tmp_path)
    assert not list(tmp_path.iterdir())


def test_blow_up_of_production_is_told_with_replica_step_and_energies(box, unbroken):
    settings = replace(SETTINGS, time_step=0.05, frame_spacing=0.5, segment=50.0, length=50.0)
    told = r"replica 1 at step \d+, last potential energies \(.*\): .*; make reference\.time_step"
    with pytest.raises(DynmatchError, match=told):
        simulate_segment(box, unbroken[0][0].end_state, settings, replica=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_step": -0.002}, r"reference\.time_step: -0.002 must be positive"),
        ({"frame_spacing": 0.011}, r"reference\.frame_spacing.*multiple of reference\.time_step"),
        ({"segment": 0.005}, r"reference\.segment.*multiple of reference\.frame_spacing"),
        ({"platform": "Abacus"}, r"reference\.platform: Abacus is not .*Reference"),
    ],
)
def test_settings_that_cannot_be_simulated_are_named(box, tmp_path, change, message):
    with pytest.raises(DynmatchError, match=message):
        produce(box, replace(SETTINGS, **change), tmp_path)


def has_cuda() -> bool:
    try:
        openmm.Platform.getPlatformByName("CUDA")
    except openmm.OpenMMException:
        return False
    return True


@pytest.mark.skipif(has_cuda(), reason="OpenMM has its CUDA platform here")
def test_missing_cuda_is_reported_with_what_is_there(box, tmp_path):
    with pytest.raises(DynmatchError, match=r"platform: CUDA is not available here; found .*CPU"):
        produce(box, replace(SETTINGS, platform="CUDA"), tmp_path)


def test_unknown_model_is_reported_with_those_on_offer():
    with pytest.raises(DynmatchError, match=r"reference\.water_model.*'ice9'.*spce"):
        small_box("ice9")


def test_cutoff_beyond_half_the_box_is_reported_with_that_length():
    half = small_box().edge / 2
    with pytest.raises(DynmatchError, match=rf"w\.reference\.cutoff: 0\.6 .* {half:.4f} nm"):
        small_box(cutoff=0.6, where="systems.w.reference")
