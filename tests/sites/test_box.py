"""Triclinic boxes: the same crystal of images in another choice of cell, and MDTraj's distances."""

import mdtraj
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites import box as boxes
from dynmatch.sites.projection import make_whole, unwrap
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory, read, write

DODECAHEDRON = np.array([[3.0, 0, 0], [0, 3.0, 0], [1.5, 1.5, 3 / np.sqrt(2)]])
OCTAHEDRON = np.array([[3.0, 0, 0], [1.0, np.sqrt(8.0), 0], [-1.0, np.sqrt(2.0), np.sqrt(6.0)]])
TILTED = np.array([[3.0, 0, 0], [0.7, 2.6, 0], [-1.2, 0.9, 2.9]])
BOXES = {"dodecahedron": DODECAHEDRON, "octahedron": OCTAHEDRON, "tilted": TILTED}
each_box = pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)


def test_a_skewed_cell_of_a_rectangular_lattice_is_rectangular():
    edges = np.array([2.0, 3.0, 2.5])
    skewed = np.array([[1, 0, 0], [2, 1, 0], [-1, 3, 1]]) @ np.diag(edges)
    np.testing.assert_array_equal(boxes.reduced(skewed), edges)
    np.testing.assert_array_equal(boxes.reduced(edges), edges)


@each_box
def test_reduction_keeps_the_lattice(box):
    other = np.array([[1, 0, 0], [-3, 1, 0], [2, -1, 1]]) @ box
    made = boxes.reduced(other)
    count = made @ np.linalg.inv(box)
    np.testing.assert_allclose(count, np.round(count), atol=1e-12)
    assert abs(np.linalg.det(count)) == pytest.approx(1)
    across = np.abs(made[[1, 2, 2], [0, 0, 1]])
    assert (across <= np.array([made[0, 0], made[0, 0], made[1, 1]]) / 2 + 1e-12).all()


def test_boxes_whose_positions_would_have_to_be_turned_are_refused():
    with pytest.raises(DynmatchError, match="its first vector has to be along x"):
        boxes.reduced([[0, 3.0, 0], [3.0, 0, 0], [0, 0, 3.0]])


@each_box
def test_lengths_and_angles_are_those_of_mdtraj(box):
    lengths, angles = boxes.lengths_and_angles(box)
    np.testing.assert_allclose(boxes.vectors_of(lengths, angles), box, atol=1e-12)
    expected = mdtraj.utils.box_vectors_to_lengths_and_angles(*box)
    np.testing.assert_allclose([*lengths, *angles], expected, rtol=1e-12)
    assert boxes.volume(box) == pytest.approx(np.linalg.det(box))


@each_box
def test_images_are_the_nearest_of_all_up_to_half_the_least_height(box):
    rng = np.random.default_rng(1)
    half = 0.5 * boxes.heights(box).min()
    d = rng.uniform(-1, 1, (2000, 3))
    d *= half * rng.uniform(0, 1, (2000, 1)) / np.linalg.norm(d, axis=1, keepdims=True)
    far = d + rng.integers(-4, 5, d.shape) @ box
    np.testing.assert_allclose(boxes.minimum_image(far, box), d, atol=1e-12)
    components = boxes.components_of_image(list(far.T), box)
    np.testing.assert_allclose(np.stack(components, -1), d, atol=1e-12)


@each_box
def test_distances_are_those_of_mdtraj(box):
    rng = np.random.default_rng(2)
    x = rng.uniform(-5, 5, (1, 40, 3)).astype(np.float32)
    lengths, angles = boxes.lengths_and_angles(box)
    frames = mdtraj.Trajectory(
        x,
        independent_sites("W" * 40, "R").to_mdtraj(),
        unitcell_lengths=lengths[None],
        unitcell_angles=angles[None],
    )
    i, j = np.triu_indices(40, 1)
    expected = mdtraj.compute_distances(frames, np.stack([i, j], 1))[0]
    found = np.linalg.norm(boxes.minimum_image(x[0, i] - x[0, j], box), axis=-1)
    near = expected < 0.5 * boxes.heights(box).min()
    assert near.sum() > 50
    np.testing.assert_allclose(found[near], expected[near], atol=1e-5)
    assert (found > expected - 1e-5).all()


@each_box
def test_wrapped_positions_lie_between_the_faces(box):
    x = np.random.default_rng(3).uniform(-20, 20, (500, 3))
    inside = boxes.wrap(x, box)
    parts = inside @ np.linalg.inv(box)
    assert (parts > -1e-9).all()
    assert (parts < 1 + 1e-9).all()
    count = (x - inside) @ np.linalg.inv(box)
    np.testing.assert_allclose(count, np.round(count), atol=1e-9)
    from_faces = boxes.from_faces(inside, box)
    np.testing.assert_allclose(from_faces, parts * boxes.heights(box), atol=1e-9)
    again = boxes.components_from_faces(list(from_faces.T), box)
    np.testing.assert_allclose(np.stack(again, -1), inside, atol=1e-9)


@each_box
def test_groups_are_made_whole_and_sites_followed(box):
    rng = np.random.default_rng(4)
    walk = np.cumsum(rng.normal(0, 0.15, (60, 5, 1, 3)), 0) + rng.uniform(0, 3, (5, 1, 3))
    whole = (walk + rng.uniform(-0.2, 0.2, (5, 3, 3))).reshape(60, 15, 3)
    broken = boxes.wrap(whole, box)
    mended = make_whole(broken, list(np.arange(15).reshape(5, 3)), box)
    first = np.arange(15) // 3 * 3
    np.testing.assert_allclose(mended - mended[:, first], whole - whole[:, first], atol=1e-9)
    np.testing.assert_allclose(unwrap(broken, whole[0], box), whole, atol=1e-9)


@pytest.mark.parametrize("box", [np.array([2.0, 3.0, 2.5]), TILTED], ids=["edges", "vectors"])
def test_a_box_is_kept_in_files(box, tmp_path):
    """MDTraj sees it as well; what a rectangular box has in its file is as it was."""
    x = np.random.default_rng(5).uniform(0, 2, (3, 4, 3)).astype(np.float32)
    topology = independent_sites("WWWW", "R")
    path = tmp_path / "sites.h5"
    write(path, SiteTrajectory(x, np.arange(3.0), np.ones(4), topology, box))
    np.testing.assert_array_equal(read(path).box, box)
    vectors = mdtraj.load(str(path)).unitcell_vectors[1]
    np.testing.assert_allclose(vectors, boxes.matrix(box), atol=1e-5)
