"""Neighbour lists against a tree, and forces in blocks against all pairs."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial import KDTree

from dynmatch.potentials.neighbour_lists import NeighbourLists, _running_sum
from dynmatch.potentials.separations import BLOCK
from tests.helpers.fluids import bonded_sites, fluid, random_parameters, unbonded

FORM = fluid(cores=0.25, kT=2.494, basis=20, channels=2)
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
    capacity = lists.capacity(positions, 0)
    assert (capacity.cell is not None) == cells
    near, fits = jax.jit(lists.update, static_argnums=0)(capacity, positions)
    assert fits
    for term, index in zip(FORM.terms, near, strict=True):
        assert (index is None) == (count <= term.all_pairs_up_to)
        if index is None:
            continue
        reach = term.reach + SKIN
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


@pytest.mark.parametrize("small", ["pair", "three_body", "cell"])
def test_lists_without_room_say_so(small):
    box = np.array([3.6, 2.9, 4.3])
    positions = liquid(2000, box)
    lists = NeighbourLists(FORM, box, 2000, SKIN)
    capacity = lists.capacity(positions, 0)
    assert lists.update(capacity, positions)[1]
    if small == "cell":
        short = capacity._replace(cell=3)
    else:
        kinds = [term.kind for term in FORM.terms]
        sizes = zip(kinds, capacity.lists, strict=True)
        short = capacity._replace(lists=tuple(5 if k == small else size for k, size in sizes))
    assert not lists.update(short, positions)[1]
    more = lists.capacity(positions, 1)
    pairs = [*zip(more.lists, capacity.lists, strict=True), (more.cell, capacity.cell)]
    assert all(new > old for new, old in pairs)


@pytest.mark.parametrize("types", [1, 2])
def test_forces_in_blocks_are_those_of_all_pairs(types):
    """600 sites, two blocks, the second one filled up; to 1e-5 of the largest force. Of one type,
    and of two in pairs that are bonded across the border of the blocks."""
    assert BLOCK < 600
    box = np.array([2.6, 2.6, 2.6])
    # on a grid with noise, because forces between random points have no scale
    x = np.stack(np.meshgrid(*3 * [np.arange(9) * 2.6 / 9]), -1).reshape(-1, 3)[:600]
    x = x + np.random.default_rng(1).normal(0, 0.02, x.shape)
    positions = jnp.asarray(x, jnp.float32)
    if types == 1:
        potential, topology = FORM, unbonded("W" * 600)
    else:
        potential = fluid(("A", "B"), 0.25, kT=2.494, basis=20, hidden=(3,))
        topology = bonded_sites("AB" * 300, [(2 * k + 1, 2 * k + 2) for k in range(299)])
    parameters = random_parameters(potential, 1, 0.3)
    tables = potential.tabulate(parameters)
    lists = NeighbourLists(potential, box, 600, SKIN)
    near, fits = lists.update(lists.capacity(positions[None], 0), positions[None])
    assert fits
    near = jax.tree.map(lambda index: index[0], near)
    force = jax.jit(potential.force, static_argnums=3)
    blocks = force(tables, positions, jnp.asarray(box), topology, near)
    plain = force(tables, positions, jnp.asarray(box), topology, None)
    np.testing.assert_allclose(blocks, plain, atol=1e-5 * np.abs(plain).max())


def test_one_list_serves_terms_of_the_same_range_and_none_those_without():
    """A bonded term has no neighbours; at most 128 sites the pair term takes all pairs."""
    box = np.array([2.0, 2.1, 2.2])
    positions = liquid(300, box)
    equal = fluid(three_body_cutoff=0.6)
    lists = NeighbourLists(equal, box, 300, SKIN)
    near, fits = lists.update(lists.capacity(positions, 0), positions)
    assert fits
    np.testing.assert_array_equal(near[0], near[1])
    few = NeighbourLists(equal, box, 128, SKIN)
    assert few.update(few.capacity(positions[:, :128], 0), positions[:, :128])[0][0] is None


def test_running_sum_is_that_of_numpy():
    """On a CPU it is a scan, elsewhere JAX's."""
    chosen = np.random.default_rng(3).integers(0, 2, (97, 40)).astype(np.int32)
    np.testing.assert_array_equal(_running_sum(jnp.asarray(chosen)), np.cumsum(chosen, 0))


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_only_a_cpu_works_in_blocks(platform):
    """The forces' program has a loop over blocks of sites on a CPU, and none on a GPU."""
    count, box = BLOCK + 100, np.array([3.6, 2.9, 4.3])
    positions = liquid(count, box)
    lists = NeighbourLists(FORM, box, count, SKIN)
    near, _ = lists.update(lists.capacity(positions, 0), positions)
    topology, tables = unbonded("W" * count), FORM.tabulate(random_parameters(FORM, 1))
    edges = jnp.asarray(box, jnp.float32)
    near = tuple(index if index is None else index[0] for index in near)
    force = jax.jit(lambda x: FORM.force(tables, x, edges, topology, near))
    lowered = jax.export.export(force, platforms=[platform])(positions[0])
    assert ("stablehlo.while" in lowered.mlir_module()) == (platform == "cpu")


def test_a_gpu_s_form_gives_the_lists_and_forces_of_a_cpu_s(monkeypatch):
    """Run on the CPU: all sites at once, and JAX's running sum, against blocks and a scan."""
    count, box = 2 * BLOCK + 100, np.array([3.6, 2.9, 4.3])
    positions = liquid(count, box)
    topology, tables = unbonded("W" * count), FORM.tabulate(random_parameters(FORM, 1))
    edges = jnp.asarray(box, jnp.float32)

    def found():
        lists = NeighbourLists(FORM, box, count, SKIN)
        near, fits = lists.update(lists.capacity(positions, 0), positions)
        near = tuple(index if index is None else index[0] for index in near)
        return near, fits, FORM.force(tables, positions[0], edges, topology, near)

    of_cpu = found()
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *given, cpu, default: default(*given))
    of_gpu = found()
    jax.tree.map(np.testing.assert_array_equal, of_gpu[:2], of_cpu[:2])
    size = np.abs(of_cpu[2]).max()
    np.testing.assert_allclose(of_gpu[2], of_cpu[2], rtol=0, atol=1e-5 * size)
