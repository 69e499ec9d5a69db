"""Neighbour lists against a tree, forces in blocks against all pairs, and how often to look."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynmatch.dynamics.dynamics import Dynamics, free_motion, generator, velocity
from scipy.spatial import KDTree

from dynmatch.model import Model
from dynmatch.potentials import neighbour_lists, potential
from dynmatch.potentials.neighbour_lists import NeighbourLists
from dynmatch.simulation.replicas import FAR, rebuild_interval

FORM = potential.PotentialForm(0.6, 0.45, 0.25, 2.494, pair_basis=20, hidden=())
SKIN = 0.1


def liquid(count: int, box: np.ndarray, replicas: int = 1) -> jnp.ndarray:
    """Random positions, some of them in other images of the box."""
    rng = np.random.default_rng(count)
    return jnp.asarray(rng.uniform(-0.5, 1.5, (replicas, count, 3)) * box, jnp.float32)


@pytest.mark.parametrize(
    ("count", "box", "cells"),
    [(60, [1.4, 1.5, 1.6], False), (300, [2.0, 2.1, 2.2], False), (2000, [3.6, 2.9, 4.3], True)],
)
def test_lists_hold_what_a_tree_finds(count, box, cells):
    """By all pairs, by lists, and by lists from cells, N no multiple of a block in the last."""
    box = np.array(box)
    positions = liquid(count, box, replicas=2)
    lists = NeighbourLists(FORM, box, count, SKIN)
    room = lists.room(positions, 0)
    assert (room.cell is not None) == cells
    assert (room.pair is None) == (count <= neighbour_lists.ALL_PAIRS_UP_TO)
    near, fits = jax.jit(lists.update, static_argnums=0)(room, positions)
    assert fits
    for index, reach in ((near.pair, 0.6 + SKIN), (near.three_body, 0.45 + SKIN)):
        if index is None:
            continue
        for x, found in zip(positions, np.asarray(index), strict=True):
            wrapped = np.mod(np.asarray(x, np.float64), box)
            tree = KDTree(wrapped, boxsize=box).query_ball_point(wrapped, reach)
            for site, others in enumerate(tree):
                listed = found[:, site]
                listed = listed[listed < count]
                assert len(set(listed)) == len(listed)
                # a pair at the very rim may fall on either side in single precision
                odd = set(listed) ^ (set(others) - {site})
                d = wrapped[list(odd)] - wrapped[site]
                d -= box * np.round(d / box)
                assert np.allclose(np.linalg.norm(d, axis=1), reach, atol=1e-5)


@pytest.mark.parametrize("small", [{"pair": 5}, {"three_body": 5}, {"cell": 3}])
def test_lists_without_room_say_so(small):
    box = np.array([3.6, 2.9, 4.3])
    positions = liquid(2000, box)
    lists = NeighbourLists(FORM, box, 2000, SKIN)
    room = lists.room(positions, 0)
    assert lists.update(room, positions)[1]
    assert not lists.update(room._replace(**small), positions)[1]
    more = lists.room(positions, 1)
    assert all(new > old for new, old in zip(more, room, strict=True))


def test_forces_in_blocks_are_those_of_all_pairs():
    """600 sites, two blocks, the second one filled up; to 1e-5 of the largest force."""
    assert potential.BLOCK < 600
    box = np.array([2.6, 2.6, 2.6])
    # on a grid with noise, because forces between random points have no scale
    x = np.stack(np.meshgrid(*3 * [np.arange(9) * 2.6 / 9]), -1).reshape(-1, 3)[:600]
    x = x + np.random.default_rng(1).normal(0, 0.02, x.shape)
    positions = jnp.asarray(x, jnp.float32)
    parameters = potential.initialise(FORM, jax.random.PRNGKey(1))
    kernel = parameters["network"]["params"]["Dense_0"]["kernel"]
    parameters["network"]["params"]["Dense_0"]["kernel"] = kernel + 0.1
    tables = potential.tabulate(FORM, parameters)
    lists = NeighbourLists(FORM, box, 600, SKIN)
    near, fits = lists.update(lists.room(positions[None], 0), positions[None])
    assert fits
    near = jax.tree.map(lambda index: index[0], near)
    blocks = potential.force(FORM, tables, positions, jnp.asarray(box), near)
    plain = potential.force(FORM, tables, positions, jnp.asarray(box))
    np.testing.assert_allclose(blocks, plain, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("kind", ["bd", "ld"])
def test_free_motion_is_that_of_free_sites(kind):
    """20000 sites without forces: the variance to 5 sigma, sigma = sqrt(2/60000) of it."""
    dynamics = Dynamics(jnp.float32(300.0), jnp.float32(1.3), jnp.float32(18.0))
    kT, step, steps = 2.494, 0.002, 20

    def no_force(positions, **_):
        return jnp.zeros_like(positions)

    engine = generator(kind, no_force, step, kT)
    start = engine.init(dynamics, jax.random.PRNGKey(2), jnp.zeros((20_000, 3)))
    end = jax.lax.fori_loop(0, steps, lambda _, state: engine.step(dynamics, state), start)
    moved = np.asarray(end.position - start.position)
    exact = free_motion(kind, dynamics, kT, steps * step)
    if kind == "bd":
        # the scheme averages two successive noises: the variance lacks half a step
        exact *= np.sqrt(1 - 0.5 / steps)
    else:
        assert np.std(velocity(dynamics, start)) == pytest.approx(
            free_motion(kind, dynamics, kT, 1e-6) / 1e-6, rel=5 * np.sqrt(0.5 / 60_000)
        )
    # BAOAB's free motion is exact to second order in step / tau = 0.04
    assert np.var(moved) == pytest.approx(exact**2, rel=5 * np.sqrt(2 / 60_000) + 0.04**2)


@pytest.mark.parametrize("kind", ["bd", "ld"])
@pytest.mark.parametrize("time_step", [0.0005, 0.005, 0.02])
def test_skin_covers_what_sites_move_between_two_searches(kind, time_step):
    model = Model(kind, FORM, {}, 415.0, 1.0, 18.0, 300.0, time_step)
    steps, skin = rebuild_interval(model)
    moved = free_motion(kind, model.dynamics, model.kT, steps * time_step)
    assert 0.5 * skin == pytest.approx(FAR * moved)
    longer, _ = rebuild_interval(Model(kind, FORM, {}, 415.0, 1.0, 18.0, 300.0, time_step / 4))
    assert longer > steps
