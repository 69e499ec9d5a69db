"""The loop of the structural methods: what it returns, what it reports, and rates by group."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dynmatch.bottom_up.descent import FADING, REPORT_EVERY, descend
from dynmatch.bottom_up.force_matching import optimiser
from dynmatch.settings import ForceMatchingRates
from tests.helpers.fluids import fluid


def test_it_returns_a_mean_that_forgets_the_start_and_not_the_end():
    """Of a parameter that is the number of its update, from -1000 on; one that stays is kept."""
    seen = []

    def update(number, parameters, carried):
        return {"x": jnp.float32(number), "y": parameters["y"]}, carried + 1, 0.5

    start = {"x": jnp.float32(-1e3), "y": jnp.float32(7.0)}
    found = descend(update, start, 0, 60, seen.append, lambda number, norm: {"own": norm})
    mean = -1e3
    for number in range(1, 61):
        weight = min(0.99, number / (number + FADING))
        mean = weight * mean + (1 - weight) * number
    assert float(found["x"]) == pytest.approx(mean, rel=1e-4)
    assert 40 < float(found["x"]) < 60
    assert float(found["y"]) == pytest.approx(7.0)


def test_it_reports_at_intervals_and_at_the_end():
    rows, measured = [], []

    def measure(number, norm):
        measured.append(number)
        return {"error": 1.0 / number}

    def update(number, parameters, carried):
        return parameters, carried, 2.0 * number

    descend(update, {"x": jnp.zeros(2)}, None, 2 * REPORT_EVERY + 3, rows.append, measure)
    expected = [REPORT_EVERY, 2 * REPORT_EVERY, 2 * REPORT_EVERY + 3]
    assert [row["update"] for row in rows] == measured == expected
    assert list(rows[0]) == ["update", "minutes", "error", "gradient_norm"]
    assert rows[-1]["gradient_norm"] == 2.0 * expected[-1]


def test_each_group_has_the_rate_of_its_name_and_none_stays():
    """The first step of Adam is the rate along the sign of the gradient."""
    potential = fluid(basis=8, degree=1)
    rates = ForceMatchingRates(pair=0.1, radial=0.0, network=0.02)
    adam = optimiser(potential, rates, 100)
    parameters = potential.initialise(jax.random.key(1))
    gradient = jax.tree.map(lambda x: jnp.full_like(x, -3.0), parameters)
    steps, _ = adam.update(gradient, adam.init(parameters), parameters)
    moved = optax.apply_updates(parameters, steps)
    for group in potential.groups:
        for before, after in zip(
            jax.tree.leaves(parameters[group]), jax.tree.leaves(moved[group]), strict=True
        ):
            np.testing.assert_allclose(after - before, getattr(rates, group), atol=1e-5)


def test_rates_fall_to_a_hundredth():
    potential = fluid(basis=8, degree=1)
    adam = optimiser(potential, ForceMatchingRates(pair=0.1), 10)
    parameters = potential.initialise(jax.random.key(1))
    gradient, state = jax.tree.map(jnp.ones_like, parameters), adam.init(parameters)
    sizes = []
    for _ in range(11):
        steps, state = adam.update(gradient, state, parameters)
        sizes.append(float(jnp.abs(steps["pair"]).max()))
    assert sizes[0] == pytest.approx(0.1, rel=1e-3)
    assert sizes[-1] == pytest.approx(0.001, rel=1e-2)
    assert all(later < before for before, later in pairwise(sizes))
