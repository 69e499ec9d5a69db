"""The box to turn: it shows the spheres where they are, on a page that stands alone."""

import re

import numpy as np

from dynmatch.plotting import view
from dynmatch.plotting.snapshot import Spheres

VECTORS = np.array([[1.2, 0, 0], [0.4, 1.3, 0], [-0.3, 0.5, 1.4]])
BOX = np.array([1.2, 1.3, 1.4])


def spheres(count: int, bonds=()) -> Spheres:
    positions = np.random.default_rng(count).uniform(0, 1, (count, 3))
    return Spheres(
        positions, np.full(count, 0.1), ["k"] * count, np.array(bonds, int).reshape(-1, 2)
    )


def traces(panels, box, mode: str) -> list[np.ndarray]:
    """Points (n, 3) of the lines or markers, in order."""
    drawn = view.figure(panels, box)
    return [np.stack([t.x, t.y, t.z], 1) for t in drawn.data if t.mode == mode]


def test_each_scene_has_its_spheres_and_bonds():
    panels = {"atoms": spheres(4, [(0, 1), (2, 3)]), "sites": spheres(3)}
    found = traces(panels, BOX, "markers")
    for points, given in zip(found, panels.values(), strict=True):
        np.testing.assert_array_equal(points, given.positions)
    box, bonds, _ = traces(panels, BOX, "lines")
    np.testing.assert_array_equal(bonds[[0, 1, 3, 4]], panels["atoms"].positions)
    assert np.isnan(bonds[[2, 5]]).all()
    assert len(box) == 3 * 12


def test_edges_of_a_triclinic_box_are_its_vectors():
    (lines,) = traces({"sites": spheres(3)}, VECTORS, "lines")
    edges = (lines[1::3] - lines[::3]).round(9)
    assert {tuple(edge) for edge in edges} == {tuple(vector) for vector in VECTORS.round(9)}


def test_the_page_needs_no_network():
    page = view.page({"sites": spheres(3)}, BOX)
    assert not re.findall(r"""<(?:script|link|img)[^>]*(?:src|href)=["']?(?:https?:)?//""", page)
    assert len(page) > 1_000_000  # the program that draws is on it
