"""Projection of water onto centres of mass: conservation laws, and forces as gradients."""

from operator import itemgetter
from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites.projection import apply_mapping, centre_of_mass_mapping
from dynmatch.sites.trajectory import read, write
from dynmatch.systems.all_atom.particles import masses
from dynmatch.systems.all_atom.platforms import make_context
from dynmatch.systems.all_atom.simulation import ReferenceSettings, assemble, produce, segments
from dynmatch.systems.water.box import build_box, lattice_positions
from dynmatch.systems.water.projection import CHUNK, atomic_forces, project

MOLECULES = 27
STEP = 0.002
FRAMES = CHUNK + 100
"""Frames of a replica: neither replicas nor chunks begin at the same frames."""
SETTINGS = ReferenceSettings(
    temperature=300.0,
    time_step=STEP,
    friction=5.0,
    thermostat_frequency=1.0,
    replicas=2,
    equilibration=0.5,
    length=STEP * FRAMES,
    frame_spacing=STEP,
    segment=STEP * FRAMES,
    platform="CPU",
    threads=1,
    seed=1,
)
FIELDS = ("coordinates", "velocities", "time", "cell_lengths", "cell_angles")


@pytest.fixture(scope="module")
def all_atom(tmp_path_factory):
    """Two short replicas with a frame at every step: their box, and the file."""
    folder = tmp_path_factory.mktemp("all_atom")
    box = build_box("spce", MOLECULES, density=0.997, cutoff=0.45)
    path = folder / "trajectory.h5"
    assemble(segments(produce(box, SETTINGS, folder), box, SETTINGS), box, SETTINGS, path)
    return box, path


@pytest.fixture(scope="module")
def projected(all_atom):
    box, path = all_atom
    return project(path, box.system, threads=2, replicas=2, frames=FRAMES)


def rewrite(source: Path, target: Path, **changes) -> Path:
    """Copy an all-atom trajectory with some of its fields replaced by a function of them."""
    with mdtraj.formats.HDF5TrajectoryFile(str(source)) as file:
        topology, data = file.topology, file.read()
    fields = {
        name: changes.get(name, lambda values: values)(getattr(data, name)) for name in FIELDS
    }
    with mdtraj.formats.HDF5TrajectoryFile(str(target), "w") as file:
        file.topology = topology
        file.write(**fields)
    return target


@pytest.mark.parametrize("model", ["spce", "tip4pew"])
def test_site_force_is_minus_the_energy_gradient_under_translation_of_a_molecule(model):
    """Central differences: error of order h^2, and 1e-16 E / h from rounding."""
    box = build_box(model, MOLECULES, density=0.997, cutoff=0.45)
    start = lattice_positions(box, seed=2)
    context = make_context(box.system, openmm.VerletIntegrator(0.001), "Reference", 1)
    groups = list(np.arange(len(start)).reshape(MOLECULES, -1))
    members = (centre_of_mass_mapping(groups, masses(box.system)) > 0).astype(float)
    forces = apply_mapping(members, atomic_forces(context, start[None]))[0]

    def energy(positions):
        context.setPositions(positions)
        context.computeVirtualSites()
        return context.getState(energy=True).getPotentialEnergy()._value

    h = 1e-5
    for molecule in (0, 13):
        for axis in range(3):
            shift = np.zeros_like(start)
            shift[groups[molecule], axis] = h
            slope = (energy(start + shift) - energy(start - shift)) / (2 * h)
            assert forces[molecule, axis] == pytest.approx(-slope, rel=1e-5, abs=1e-3)


def test_projection_conserves_mass_centre_of_mass_and_momentum(all_atom, projected):
    box, path = all_atom
    mass = masses(box.system)
    with mdtraj.formats.HDF5TrajectoryFile(str(path)) as file:
        data = file.read()
    assert projected.masses.sum() == pytest.approx(mass.sum(), rel=1e-12)
    for sites, atoms in (
        (projected.positions, data.coordinates),
        (projected.velocities, data.velocities),
    ):
        np.testing.assert_allclose(
            np.einsum("fnd,n->fd", sites, projected.masses, dtype=np.float64),
            np.einsum("fnd,n->fd", atoms, mass, dtype=np.float64),
            # single precision: 6e-8 of some 1 nm or nm/ps times 18 amu, for 27 sites
            atol=3e-5,
        )


def test_velocities_are_the_rate_of_change_of_positions(projected):
    """x(t + dt) - x(t) = dt v of one leapfrog step, but for the thermostat's scaling half-way."""
    for replica in projected.replicas():
        moved = np.diff(replica.positions.astype(np.float64), axis=0) / STEP
        scale = replica.velocities.std()
        np.testing.assert_allclose(moved, replica.velocities[1:], atol=0.02 * scale)


def test_forces_accelerate_the_sites(projected):
    """m dv/dt = F for a rigid molecule, up to the thermostat: m v / ps is small against F."""
    for replica in projected.replicas():
        rate = np.diff(replica.velocities.astype(np.float64), axis=0) / STEP
        expected = replica.masses[:, None] * rate
        # the velocity after a step was changed by the force before it
        error = np.std(expected - replica.forces[:-1]) / np.std(replica.forces)
        assert error < 0.05


def test_replicas_are_projected_as_if_each_were_alone(all_atom, projected, tmp_path):
    """However far apart they are: the second one is three box edges away from the first."""
    box, path = all_atom
    away = np.concatenate([np.zeros(FRAMES), np.full(FRAMES, 3 * box.edge)])
    far = rewrite(path, tmp_path / "far.h5", coordinates=lambda x: x + away[:, None, None])
    together = project(far, box.system, threads=2, replicas=2).replicas()
    for index, replica in enumerate(together):
        half = slice(index * FRAMES, (index + 1) * FRAMES)
        alone = rewrite(far, tmp_path / "alone.h5", **{field: itemgetter(half) for field in FIELDS})
        alone = project(alone, box.system)
        np.testing.assert_allclose(replica.time, STEP * np.arange(FRAMES), atol=1e-6)
        np.testing.assert_array_equal(replica.time, alone.time)
        np.testing.assert_array_equal(replica.positions, alone.positions)
        np.testing.assert_array_equal(replica.velocities, alone.velocities)
        # single precision: the order in which OpenMM adds up depends on earlier frames
        np.testing.assert_allclose(replica.forces, alone.forces, atol=0.5)
    centre = np.mean(together[1].positions - projected.replicas()[1].positions)
    assert centre == pytest.approx(3 * box.edge, abs=1e-5)


def test_wrapped_file_gives_the_same_motion(all_atom, projected, tmp_path):
    box, path = all_atom
    wrapped = rewrite(path, tmp_path / "wrapped.h5", coordinates=lambda x: x % np.float32(box.edge))
    again = project(wrapped, box.system)
    for one, other in zip(again.replicas(), projected.replicas(), strict=True):
        np.testing.assert_allclose(
            one.positions - one.positions[0], other.positions - other.positions[0], atol=2e-6
        )
    # forces change by some 1e5 kJ/mol/nm^2 per nm: single precision moves them a little
    np.testing.assert_allclose(again.forces, projected.forces, atol=0.5)


def test_projected_file_is_read_back(projected, tmp_path):
    path = tmp_path / "projected.h5"
    write(path, projected)
    again = read(path)
    np.testing.assert_array_equal(again.forces, projected.forces)
    np.testing.assert_array_equal(again.velocities, projected.velocities)
    np.testing.assert_allclose(again.time, np.tile(STEP * np.arange(FRAMES), 2), rtol=1e-9)
    assert mdtraj.load(path).n_atoms == MOLECULES


def test_file_without_velocities_has_none(all_atom, tmp_path):
    box, path = all_atom
    bare = rewrite(path, tmp_path / "bare.h5", velocities=lambda v: None)
    assert project(bare, box.system).velocities is None


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.95])
def test_truncated_file_is_named(all_atom, tmp_path, part):
    box, path = all_atom
    content = path.read_bytes()
    truncated = tmp_path / "cut.h5"
    truncated.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DynmatchError, match=r"cut\.h5: cannot be read"):
        project(truncated, box.system)


def test_missing_file_is_named(all_atom, tmp_path):
    with pytest.raises(DynmatchError, match=r"none\.h5: cannot be read"):
        project(tmp_path / "none.h5", all_atom[0].system)


@pytest.mark.parametrize(("replicas", "frames"), [(2, FRAMES + 1), (3, FRAMES)])
def test_too_few_frames_or_replicas_are_counted(all_atom, replicas, frames):
    box, path = all_atom
    message = rf"has 2 x {FRAMES} frames, fewer than the {replicas} x {frames} asked for"
    with pytest.raises(DynmatchError, match=message):
        project(path, box.system, replicas=replicas, frames=frames)


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("time", lambda t: np.where(t > 0.5, t + 0.1, t), "missing or repeated after 0.5 ps"),
        ("time", lambda t: np.where(t > 0.5, t - STEP, t), "missing or repeated after 0.5 ps"),
        # the first frames of the second replica
        ("time", lambda t: np.where(np.arange(len(t)) < FRAMES, t, t + STEP), "after 1.198 ps"),
        ("cell_lengths", lambda a: a * np.linspace(1, 1.1, len(a))[:, None], "the box changes"),
        ("cell_angles", lambda a: a - 30, "no orthorhombic periodic box"),
    ],
)
def test_trajectory_that_cannot_be_projected_says_why(all_atom, tmp_path, field, change, message):
    box, path = all_atom
    changed = rewrite(path, tmp_path / "odd.h5", **{field: change})
    with pytest.raises(DynmatchError, match=rf"odd\.h5: .*{message}"):
        project(changed, box.system)


def test_system_of_another_size_is_reported(all_atom):
    other = build_box("spce", 30, density=0.997, cutoff=0.45)
    with pytest.raises(DynmatchError, match="does not have the 90 particles"):
        project(all_atom[1], other.system)
