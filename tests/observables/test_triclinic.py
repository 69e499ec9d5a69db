"""Observables of a cubic box in a triclinic choice of cell are those of the cube."""

import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.observables.adf import adf
from dynmatch.observables.free_energy import free_energy_r_theta
from dynmatch.observables.msd import msd
from dynmatch.observables.neighbours import pairs_within
from dynmatch.observables.rdf import rdf
from dynmatch.observables.scattering import scattering
from dynmatch.observables.survival import survival
from dynmatch.observables.tetrahedral import tetrahedral
from dynmatch.observables.van_hove import van_hove
from dynmatch.sites import box as boxes
from dynmatch.sites.projection import unwrap
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.boxes import doubled
from tests.helpers.fluids import jittered_lattice

EDGE, FRAMES = 1.5, 40


def of(positions: np.ndarray, box: np.ndarray) -> SiteTrajectory:
    """From files: wrapped frame by frame, and followed."""
    wrapped = boxes.wrap(positions.astype(np.float64), box)
    sites = positions.shape[1]
    return SiteTrajectory(
        positions=unwrap(wrapped, wrapped[0], box).astype(np.float32),
        time=np.arange(len(positions)) * 0.1,
        masses=np.full(sites, 18.0),
        topology=independent_sites("W" * sites, "R"),
        box=box,
    )


@pytest.fixture(scope="module")
def cells() -> tuple[SiteTrajectory, SiteTrajectory]:
    """The cube and the other cell, of sites that go far enough to cross faces."""
    rng = np.random.default_rng(1)
    walk = jittered_lattice(rng, EDGE, 0.1) + np.cumsum(rng.normal(0, 0.06, (FRAMES, 27, 3)), 0)
    return of(walk, np.full(3, EDGE)), of(*doubled(walk, EDGE))


OBSERVABLES = {
    "adf": lambda x: adf(x, 0.6),
    "tetrahedral": tetrahedral,
    "free energy": lambda x: free_energy_r_theta(x, 0.5, 300.0),
    "msd": lambda x: msd(x, 2.0),
    "scattering": lambda x: scattering(x, [8.0, 20.0], 2.0, 0.1),
    "van Hove": lambda x: van_hove(x, [0.3], 0.1),
    "survival": lambda x: survival(x, 0.5, 0.1),
}


@pytest.mark.parametrize("observe", OBSERVABLES.values(), ids=OBSERVABLES)
def test_they_are_those_of_the_cube(cells, observe):
    """But for single precision: a value at the edge of a bin may fall into its neighbour."""
    one, other = (observe(each).to_numpy()[:, :-1] for each in cells)
    assert one.shape == other.shape
    same = np.isclose(one, other, rtol=1e-4, atol=1e-5) | (np.isnan(one) & np.isnan(other))
    assert same.mean() > 0.98
    assert np.nanmax(np.abs(one - other)) < 0.02 * np.nanmax(np.abs(one))


def test_the_rdf_is_that_of_the_cube(cells):
    """Of pairs in twice the volume: N - 1 others in the cube, and 2 N - 1 in the cell, of which one
    is a site's own image and beyond the range."""
    one, other = (rdf(each, 0.01)["rdf"].to_numpy() for each in cells)
    expected = one * 2 * 26 / 53
    assert len(one) == len(other) == 75
    np.testing.assert_allclose(other, expected, atol=0.01 * expected.max())


def test_pairs_are_found_once(cells):
    one, other = (pairs_within(each.positions, each.box, 0.7) for each in cells)
    assert len(other[0]) == 2 * len(one[0])
    frame, i, j = other
    assert (i < j).all()
    assert len(set(zip(frame, i, j, strict=True))) == len(frame)


def test_a_cutoff_goes_by_the_heights(cells):
    tilted = of(cells[0].positions, np.array([[2.0, 0, 0], [0.9, 1.8, 0], [0.9, 0.9, 1.7]]))
    half = 0.5 * boxes.heights(tilted.box).min()
    assert half < 0.5 * 1.7
    with pytest.raises(DynmatchError, match=f"take at most {half:g} nm"):
        adf(tilted, 0.84)
