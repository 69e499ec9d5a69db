"""Reorientation of bonds, against closed forms."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from dynmatch.observables.reorientation import reorientation
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import bonded_sites

EDGE = 1.0


def turning(angle: float, frames: int, dimers: int, bonds: bool = True) -> SiteTrajectory:
    """Dimers that turn by `angle` (radian) about an axis of any direction from frame to frame.

    Their bonds of 0.3 nm cross faces of the box, and the sites are in any image of it.
    """
    rng = np.random.default_rng(1)
    u = np.zeros((frames, dimers, 3))
    u[0] = Rotation.random(dimers, random_state=rng).apply([0, 0, 1])
    for number in range(1, frames):
        axes = Rotation.random(dimers, random_state=rng).apply([0, 0, angle])
        u[number] = Rotation.from_rotvec(axes).apply(u[number - 1])
    heads = rng.uniform(0, EDGE, (1, dimers, 3))
    tails = heads + 0.3 * u + EDGE * rng.integers(-2, 3, (1, dimers, 3))
    x = np.stack([np.broadcast_to(heads, u.shape), tails], 2).reshape(frames, -1, 3)
    pairs = [(2 * n, 2 * n + 1) for n in range(dimers)] if bonds else []
    sites = bonded_sites("AB" * dimers, pairs)
    time, masses = 0.5 * np.arange(frames), np.ones(2 * dimers)
    return SiteTrajectory(x.astype(np.float32), time, masses, sites, np.full(3, EDGE))


def test_random_turns_have_the_product_of_their_characters():
    """After n turns by an angle a, C_l = c_l^n: c_1 = (1 + 2 cos a)/3 and c_2 = (1 + 2 cos a +
    2 cos 2a)/5, traces of rotation matrices. 400 dimers, 4.5 standard errors."""
    a = 0.6
    table = reorientation(turning(a, 300, 400), 20.0, 1.0)
    assert set(table.types) == {"A-B"}
    per_turn = {1: (1 + 2 * np.cos(a)) / 3, 2: (1 + 2 * np.cos(a) + 2 * np.cos(2 * a)) / 5}
    for order, c in per_turn.items():
        own = table[table.order == order]
        assert own.lag_ps.iloc[0] == 0.5
        expected = c ** (own.lag_ps / 0.5)
        assert np.all(np.abs(own.correlation - expected) < 4.5 * own.error)
        assert own.error.iloc[0] < 0.01


@pytest.mark.parametrize("replicas", [1, 2])
def test_what_does_not_turn_keeps_its_direction(replicas):
    still = turning(0.0, 40, 3)
    time = np.tile(still.time[: 40 // replicas], replicas)
    still = SiteTrajectory(still.positions, time, still.masses, still.topology, still.box)
    table = reorientation(still, 5.0, 0.5)
    np.testing.assert_allclose(table.correlation, 1.0, atol=1e-6)


def test_without_bonds_there_are_no_rows():
    table = reorientation(turning(0.5, 20, 2, bonds=False), 5.0, 0.5)
    assert table.empty
    assert list(table) == ["types", "order", "lag_ps", "correlation", "error"]
