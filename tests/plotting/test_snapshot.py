"""The picture of atoms and sites: molecules stay whole, and what is near is in front."""

import mdtraj
import numpy as np
import pytest
from matplotlib.collections import PatchCollection

from dynmatch.errors import DynmatchError
from dynmatch.plotting import snapshot
from dynmatch.sites.topology import independent_sites

BOX = np.array([1.2, 1.3, 1.4])


def water(molecules: int) -> mdtraj.Trajectory:
    """One frame of molecules, up to some boxes away from the first."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(molecules):
        residue = topology.add_residue("HOH", chain)
        oxygen, *hydrogens = (
            topology.add_atom(name, mdtraj.element.get_by_symbol(name[0]), residue)
            for name in ("O", "H1", "H2")
        )
        for hydrogen in hydrogens:
            topology.add_bond(oxygen, hydrogen)
    rng = np.random.default_rng(1)
    shape = [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [-0.03, 0.09, 0.0]]
    positions = rng.uniform(-4, 4, (molecules, 1, 3)) + shape
    cell = dict(unitcell_lengths=BOX[None], unitcell_angles=[[90.0] * 3])
    return mdtraj.Trajectory(positions.reshape(1, -1, 3), topology, **cell)


def test_molecules_are_moved_whole_into_the_box():
    frame = water(20)
    shown = snapshot.atoms(frame)
    boxes = (shown.positions - frame.xyz[0]) / BOX
    np.testing.assert_allclose(boxes, boxes.round(), atol=1e-5)
    moved = shown.positions.reshape(20, 3, 3).mean(1)
    assert np.all((moved > -1e-5) & (moved < BOX + 1e-5))
    first, second = shown.positions[shown.bonds].transpose(1, 0, 2)
    lengths = np.linalg.norm(first - second, axis=1)
    np.testing.assert_allclose(lengths, np.tile([0.1, np.hypot(0.03, 0.09)], 20), atol=1e-5)


def test_a_triclinic_box_is_drawn_about_its_sites():
    """Sites on its corners are the corners of the outline."""
    vectors = np.array([[1.2, 0, 0], [0.4, 1.3, 0], [-0.3, 0.5, 1.4]])
    corners = np.stack(np.unravel_index(np.arange(8), (2, 2, 2)), 1)
    frame = mdtraj.Trajectory(
        (corners @ vectors + 2 * vectors[1] - vectors[2])[None],
        independent_sites("W" * 8, "SOL").to_mdtraj(),
    )
    frame.unitcell_vectors = vectors[None]
    box = snapshot.box_of(frame)
    np.testing.assert_allclose(box, vectors, atol=1e-6)
    parts = snapshot.sites(frame, "k").positions @ np.linalg.inv(vectors)
    np.testing.assert_allclose(parts, parts.round(), atol=1e-5)
    ends, _ = snapshot._outline(box)
    seen = snapshot.view(corners @ vectors - vectors.sum(0) / 2)[:, :2]
    apart = np.linalg.norm(ends.reshape(-1, 1, 2) - seen, axis=-1).min(1)
    np.testing.assert_allclose(apart, 0, atol=1e-6)


def test_the_view_is_a_rotation():
    turned = snapshot.view(np.eye(3))
    np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turned) == pytest.approx(1)


def test_a_near_sphere_covers_a_far_one_and_is_darker():
    """Two sites on one line of sight, the near one first in the file."""
    towards = snapshot.view(np.eye(3))[:, 2]
    positions = BOX / 2 + np.outer([0.3, -0.3], towards)
    cell = dict(unitcell_lengths=BOX[None], unitcell_angles=[[90.0] * 3])
    frame = mdtraj.Trajectory(
        positions[None], independent_sites(["W"] * 2, "SOL").to_mdtraj(), **cell
    )
    figure = snapshot.snapshot({"sites": snapshot.sites(frame, "black")}, BOX)
    (axis,) = figure.axes
    (discs,) = (each for each in axis.collections if isinstance(each, PatchCollection))
    per_site = len(snapshot.LAYERS)
    centres = [path.get_extents().get_points().mean(0) for path in discs.get_paths()]
    np.testing.assert_allclose(centres[0], centres[per_site], atol=1e-6)
    far, near = discs.get_facecolors()[[0, per_site], :3]
    np.testing.assert_allclose(near, 0, atol=1e-12)
    np.testing.assert_allclose(far, snapshot.FAR, atol=1e-12)


def test_a_file_that_is_no_trajectory_is_named(tmp_path):
    path = tmp_path / "trajectory.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(DynmatchError, match=r"trajectory\.h5: cannot be read"):
        snapshot.first_frame(path)
