"""The linear three-body term, written out, is the potential."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.export.triplets import write_out
from tests.helpers.exported import model_of
from tests.helpers.fluids import fluid, jittered_lattice, random_parameters, unbonded

EDGE = 1.3


def model(**form):
    potential = fluid(**{"kT": 2.494, "basis": 30, "channels": 2} | form)
    return model_of("bd", potential, random_parameters(potential, 7, 0.5))


@pytest.mark.parametrize(("degree", "channels"), [(1, 1), (3, 2), (4, 1)])
def test_sums_over_pairs_and_triplets_are_the_potential(double_precision, degree, channels):
    """Triplets one by one. The tables of the pair term leave 1e-4 of its sum of magnitudes."""
    one = model(degree=degree, channels=channels)
    x = jittered_lattice(np.random.default_rng(3), EDGE, 0.05)
    d = x[:, None] - x[None]
    d -= EDGE * np.round(d / EDGE)
    r = np.linalg.norm(d, axis=-1)
    near = (r > 0) & (r < one.potential.term("three_body").cutoff)
    i, j, k = np.nonzero(near[:, :, None] & near[:, None, :])
    i, j, k = (index[j < k] for index in (i, j, k))
    written = write_out(one)
    total = written.pair(r[np.triu_indices(len(x), 1)]).sum()
    total += written.triplet(r[i, j], r[i, k], np.linalg.norm(d[i, j] - d[i, k], axis=-1)).sum()
    tables = one.potential.tabulate(one.parameters)
    box = jnp.full(3, EDGE)
    ours = one.potential.energy(tables, jnp.asarray(x), box, unbonded("W" * len(x)))
    scale = np.abs(written.pair(r[np.triu_indices(len(x), 1)])).sum()
    assert abs(total - ours) < 1e-4 * scale


def test_sums_over_pairs_and_triplets_of_several_types(double_precision):
    """Of each pair and triple of three types."""
    names = ("A", "B", "C")
    one = model(names=names, cores=(0.25, 0.24, 0.26, 0.23, 0.27, 0.22), degree=3, channels=2)
    louder = one.parameters | {"radial": 100 * one.parameters["radial"]}
    one = replace(one, parameters=louder)
    x = jittered_lattice(np.random.default_rng(3), EDGE, 0.05)
    topology = unbonded("ABC" * (len(x) // 3))
    types = topology.types
    d = x[:, None] - x[None]
    d -= EDGE * np.round(d / EDGE)
    r = np.linalg.norm(d, axis=-1)
    near = (r > 0) & (r < one.potential.term("three_body").cutoff)
    written = write_out(one)
    pairs = [
        written.pair(r[[i], [j]], types=(types[i], types[j]))[0]
        for i, j in zip(*np.triu_indices(len(x), 1), strict=True)
    ]
    i, j, k = np.nonzero(near[:, :, None] & near[:, None, :])
    triplets = [
        written.triplet(
            r[a, b], r[a, c], np.linalg.norm(d[a, b] - d[a, c]), (types[a], types[b], types[c])
        )
        for a, b, c in zip(i, j, k, strict=True)
        if b < c
    ]
    tables = one.potential.tabulate(one.parameters)
    ours = one.potential.energy(tables, jnp.asarray(x), jnp.full(3, EDGE), topology)
    total, scale = sum(pairs) + sum(triplets), np.abs(pairs).sum()
    assert np.abs(triplets).sum() > 0.01 * scale
    assert abs(total - ours) < 1e-4 * scale


def test_derivative_of_the_pair_energy():
    written, h = write_out(model()), 1e-5
    r = np.linspace(0.2, 0.61, 83)
    slope = (written.pair(r + h) - written.pair(r - h)) / (2 * h)
    np.testing.assert_allclose(written.pair(r, 1), slope, rtol=1e-5, atol=1e-3)


def test_a_network_is_no_sum_over_triplets():
    with pytest.raises(DynmatchError, match=r"potential\.hidden: \[\]"):
        write_out(model(hidden=(4,)))
