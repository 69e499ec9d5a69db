"""The potential that the training of a liquid starts from."""

import numpy as np
import pytest

from dynmatch.bottom_up.boltzmann_inversion import potential_of_mean_force, start
from dynmatch.errors import DynmatchError
from dynmatch.settings import PotentialSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import jittered_lattice

SETTINGS = PotentialSettings(
    cutoff=0.5,
    three_body_cutoff=0.4,
    pair_basis=10,
    radial_channels=1,
    degree=1,
    hidden=(),
    bond_width=0.02,
)
KT = 2.5


def sites(positions: np.ndarray, names: list[str], edge) -> SiteTrajectory:
    """Frames (F, N, 3) nm, 1 ps apart, of unbonded sites in a box."""
    topology = independent_sites(names, "R")
    time, masses = np.arange(float(len(positions))), np.full(len(names), 18.0)
    box = np.broadcast_to(np.asarray(edge, float), 3)
    return SiteTrajectory(positions.astype(np.float32), time, masses, topology, box)


def test_a_type_without_pairs_of_its_own_has_no_pair_term_there():
    """One solute S among eight W, far apart: u_SS = 0, and no core is larger than the others'."""
    rng = np.random.default_rng(8)
    x = rng.uniform(0, 1.2, (200, 9, 3))
    potential, parameters = start(sites(x, ["S", *8 * ["W"]], 1.2), KT, SETTINGS)
    own, *others = potential.term("pair").cores
    assert own == min(others)
    assert not parameters["pair"][0].any()
    assert parameters["pair"][1:].any(1).all()


def test_empty_space_about_a_cluster_changes_nothing():
    """g(r) is larger by the ratio of the volumes, and w(r) lower by a constant, which is no force:
    core and pair term are those in a box of an eighth."""
    rng = np.random.default_rng(9)
    x = np.stack([jittered_lattice(rng, 1.2, 0.1) for _ in range(200)])
    names = ["W"] * x.shape[1]
    small, large = (start(sites(x, names, edge), KT, SETTINGS) for edge in (4.0, 8.0))
    cores = [potential.term("pair").cores[0] for potential, _ in (small, large)]
    assert cores[1] == pytest.approx(cores[0], rel=1e-6)
    pair = [parameters["pair"] for _, parameters in (small, large)]
    np.testing.assert_allclose(*pair, atol=1e-4 * np.abs(pair[0]).max())


@pytest.mark.parametrize("names, told", [("WWWW", "W and W"), ("SWWW", "S and W")])
def test_sites_out_of_reach_of_one_another_are_named(names, told):
    """At the corners of a square of 0.8 nm with a cutoff of 0.5 nm."""
    corners = [[0.0, 0.0, 0.0], [0.8, 0.0, 0.0], [0.0, 0.8, 0.0], [0.8, 0.8, 0.0]]
    x = np.tile(np.array(corners), (20, 1, 1))
    with pytest.raises(DynmatchError, match=f"potential.cutoff: sites {told} are never closer"):
        start(sites(x, list(names), 4.0), KT, SETTINGS)


BOX = np.array([1.4, 1.5, 1.6])


def test_potential_of_mean_force_of_an_ideal_gas_is_zero():
    """Within five standard errors of ln g, 1/sqrt(expected pairs in the bin)."""
    count, frames, width = 40, 400, 0.02
    positions = np.random.default_rng(1).random((frames, count, 3)) * BOX
    r, energy = potential_of_mean_force(sites(positions, ["W"] * count, BOX), KT, width)
    pairs = 0.5 * count * (count - 1) * frames * 4 * np.pi * r**2 * width / np.prod(BOX)
    enough = pairs > 100
    assert np.count_nonzero(enough) > 30
    assert np.all(np.abs(energy[enough]) < 5 * KT / np.sqrt(pairs[enough]))


def test_potential_of_mean_force_leaves_out_distances_that_do_not_occur():
    """Sites on a rigid line, 0.3 nm apart: no pairs but at multiples of that."""
    positions = np.zeros((50, 3, 3))
    positions[:, :, 0] = [0.0, 0.3, 0.6]
    r, energy = potential_of_mean_force(sites(positions, ["W"] * 3, BOX), 2.5, 0.02)
    np.testing.assert_allclose(r, [0.3, 0.6], atol=0.02)
    assert np.all(np.isfinite(energy))


def test_of_many_sites_fewer_frames_are_taken():
    """Of 40 x 10,000 sites every second frame, because pairs grow as the square of the sites."""
    positions = np.random.default_rng(5).random((10_000, 40, 3)) * BOX
    (r, energy), (_, half) = (
        potential_of_mean_force(sites(x, ["W"] * 40, BOX), KT, 0.02)
        for x in (positions, positions[::2])
    )
    np.testing.assert_array_equal(energy, half)
    assert np.abs(energy[r > 0.3]).max() < 0.05 * KT
