"""The potential that a training starts from."""

import numpy as np
import pytest

from dynmatch.bottom_up.boltzmann_inversion import start_potential
from dynmatch.errors import DynmatchError
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import jittered_lattice

SETTINGS = {
    "cutoff": 0.5,
    "three_body_cutoff": 0.4,
    "pair_basis": 10,
    "radial_channels": 1,
    "degree": 1,
    "hidden": [],
    "bond_width": 0.02,
}
KT = 2.5


def sites(positions: np.ndarray, names: list[str], edge: float) -> SiteTrajectory:
    """Frames (F, N, 3) nm, 1 ps apart, of unbonded sites in a cube."""
    topology = independent_sites(names, "R")
    time, masses = np.arange(float(len(positions))), np.full(len(names), 18.0)
    return SiteTrajectory(positions, time, masses, topology, np.full(3, edge))


def test_a_type_without_pairs_of_its_own_has_no_pair_term_there():
    """One solute S among eight W, far apart: u_SS = 0, and no core is larger than the others'."""
    rng = np.random.default_rng(8)
    x = rng.uniform(0, 1.2, (200, 9, 3)).astype(np.float32)
    form, parameters = start_potential(sites(x, ["S", *8 * ["W"]], 1.2), KT, SETTINGS)
    own, *others = form.cores
    assert own == min(others)
    assert not parameters["pair"]["params"]["coefficients"][0].any()


def test_empty_space_about_a_cluster_changes_nothing():
    """g(r) is larger by the ratio of the volumes, and w(r) lower by a constant, which is no force:
    core and pair term are those in a box of an eighth."""
    rng = np.random.default_rng(9)
    x = np.stack([jittered_lattice(rng, 1.2, 0.1) for _ in range(200)])
    names = ["W"] * x.shape[1]
    small, large = (start_potential(sites(x, names, edge), KT, SETTINGS) for edge in (4.0, 8.0))
    assert large[0].core == pytest.approx(small[0].core, rel=1e-6)
    pair = [parameters["pair"]["params"]["coefficients"] for _, parameters in (small, large)]
    np.testing.assert_allclose(*pair, atol=1e-4 * np.abs(pair[0]).max())


@pytest.mark.parametrize("names, told", [("WWWW", "W and W"), ("SWWW", "S and W")])
def test_sites_out_of_reach_of_one_another_are_named(names, told):
    """At the corners of a square of 0.8 nm with a cutoff of 0.5 nm."""
    corners = [[0.0, 0.0, 0.0], [0.8, 0.0, 0.0], [0.0, 0.8, 0.0], [0.8, 0.8, 0.0]]
    x = np.tile(np.array(corners, np.float32), (20, 1, 1))
    with pytest.raises(DynmatchError, match=f"potential.cutoff: sites {told} are never closer"):
        start_potential(sites(x, list(names), 4.0), KT, SETTINGS)
