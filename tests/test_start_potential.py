"""The potential that a training starts from."""

import mdtraj
import numpy as np
import pytest
from fluids import jittered_lattice

from dynmatch.errors import DynmatchError
from dynmatch.start_potential import start_potential
from dynmatch.trajectory import SiteTrajectory, site_topology

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


def test_a_type_without_pairs_of_its_own_has_no_pair_term_there():
    """One solute S among eight W, far apart: u_SS = 0, and no core is larger than the others'."""
    rng = np.random.default_rng(8)
    top = mdtraj.Topology()
    chain = top.add_chain()
    for name in ["S", *8 * ["W"]]:
        top.add_atom(name, mdtraj.element.virtual, top.add_residue("R", chain))
    x = rng.uniform(0, 1.2, (200, 9, 3)).astype(np.float32)
    trajectory = SiteTrajectory(x, np.arange(200.0), np.full(9, 18.0), top, np.full(3, 1.2))
    form, parameters = start_potential(trajectory, KT, SETTINGS)
    own, *others = form.cores
    assert own == min(others)
    assert not parameters["pair"]["params"]["coefficients"][0].any()


def test_empty_space_about_a_cluster_changes_nothing():
    """g(r) is larger by the ratio of the volumes, and w(r) lower by a constant, which is no force:
    core and pair term are those in a box of an eighth."""
    rng = np.random.default_rng(9)
    x = np.stack([jittered_lattice(rng, 1.2, 0.1) for _ in range(200)])
    top = site_topology(["W"] * x.shape[1], "W")
    small, large = (
        start_potential(
            SiteTrajectory(x, np.arange(200.0), np.full(x.shape[1], 18.0), top, np.full(3, edge)),
            KT,
            SETTINGS,
        )
        for edge in (4.0, 8.0)
    )
    assert large[0].core == pytest.approx(small[0].core, rel=1e-6)
    pair = [parameters["pair"]["params"]["coefficients"] for _, parameters in (small, large)]
    np.testing.assert_allclose(*pair, atol=1e-4 * np.abs(pair[0]).max())


@pytest.mark.parametrize("names, told", [("WWWW", "W and W"), ("SWWW", "S and W")])
def test_sites_out_of_reach_of_one_another_are_named(names, told):
    """At the corners of a square of 0.8 nm with a cutoff of 0.5 nm."""
    corners = [[0.0, 0.0, 0.0], [0.8, 0.0, 0.0], [0.0, 0.8, 0.0], [0.8, 0.8, 0.0]]
    x = np.tile(np.array(corners, np.float32), (20, 1, 1))
    top = site_topology(list(names), "R")
    square = SiteTrajectory(x, np.arange(20.0), np.full(4, 18.0), top, np.full(3, 4.0))
    with pytest.raises(DynmatchError, match=f"potential.cutoff: sites {told} are never closer"):
        start_potential(square, KT, SETTINGS)
