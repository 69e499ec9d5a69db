"""Windows, and the tangents that they carry: closed forms and finite differences."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.dynamics import rollout
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.registry import DYNAMICS, equation_of
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.potentials import pair, three_body
from dynmatch.potentials.sum import Potential
from dynmatch.settings import TrainingSettings
from dynmatch.sites.topology import independent_sites
from tests.helpers.fluids import jittered_lattice

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

KT = 2.5
EDGE = 1.25
WINDOWS = 2
simulate = jax.jit(rollout.simulate_windows, static_argnums=0)
start = jax.jit(rollout.start, static_argnums=0)


def potential_of(names) -> Potential:
    pairs = len(names) * (len(names) + 1) // 2
    terms = (
        pair.Form(names, 0.6, KT, 10, (0.25,) * pairs),
        three_body.Form(names, 0.5, KT, 1, 2, ()),
    )
    return Potential(terms, names, KT)


def plan_of(name: str, topology, edge: float, lag_steps, time_step=0.004, **more) -> RolloutPlan:
    section = replace(getattr(TrainingSettings(), name), time_step=time_step)
    equation = equation_of(name).of(section)
    potential = potential_of(topology.type_names)
    box = (edge,) * 3
    learned = equation.carried
    return RolloutPlan(
        equation, potential, topology, KT, box, lag_steps, rebuild=5, learned=learned, **more
    )


def values_of(plan: RolloutPlan) -> dict:
    """Start values of the equation, of the size that liquids have; those of types differ."""
    types = 1.0 + 0.3 * np.arange(len(plan.potential.names))
    scale = Scale(18.0 * types, 300.0 * types, 15.0 / types)
    return {name: jnp.asarray(value) for name, value in plan.equation.initial(scale).items()}


def first_states(plan: RolloutPlan, values: dict, positions: np.ndarray):
    tables = plan.potential.tabulate(plan.potential.initialise(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(3), len(positions))
    return tables, start(plan, values, tables, keys, positions)


def far_apart(count: int) -> tuple[np.ndarray, float]:
    """Sites that never meet: free particles."""
    edge = 100.0
    lattice = jittered_lattice(np.random.default_rng(1), edge, 0.1, per_edge=8)[:count]
    return np.stack([lattice] * WINDOWS), edge


def shifted(values: dict, name: str, k: int, by: float) -> dict:
    value = values[name]
    change = jnp.full_like(value, by)
    if value.ndim == 2:
        change = change * (jnp.arange(value.shape[1]) == k)
    return {**values, name: value * jnp.exp(change)}


@pytest.mark.parametrize("name", DYNAMICS)
def test_tangents_of_free_sites_are_finite_differences(name):
    """Without forces nothing is left out: the tangent of every logarithm, with the same noise."""
    positions, edge = far_apart(40)
    topology = independent_sites(["A", "B"] * 20, "R")
    plan = plan_of(name, topology, edge, (5, 12))
    values = values_of(plan)
    tables, states = first_states(plan, values, positions)
    frames = simulate(plan, values, tables, states)[1]
    logs = [(n, k) for n in plan.learned for k in range(rollout._numbers(values[n]))]
    assert frames.tangents.shape == (WINDOWS, len(logs), 3, 40, 3)
    begun = plan.equation.start_tangents(states)
    eps = 1e-4
    for place, (value, k) in enumerate(logs):
        seen = []
        for sign in (-1, 1):
            # momenta of an equilibrium move with the mass
            moved = {
                field: getattr(states, field) + sign * eps * given
                for (field, owner), given in begun.items()
                if owner == value
            }
            here = states.set(**moved) if moved else states
            seen.append(
                simulate(plan, shifted(values, value, k, sign * eps), tables, here)[1].means
            )
        expected = (seen[1] - seen[0]) / (2 * eps)
        np.testing.assert_allclose(
            frames.tangents[:, place], expected, atol=2e-6 * np.abs(expected).max() + 1e-12
        )


def test_the_gradient_of_free_diffusion_weighs_all_lags_as_it_should():
    """d ln MSD/d ln gamma: -1 for Brownian motion, exactly; for Langevin dynamics that of
    MSD = 6 D (t - tau (1 - exp(-t/tau))), tau = m/gamma, at lags from below tau to far beyond.

    4096 free sites; 1 sigma of the MSD is sqrt(2/3/4096) = 1.3 %, and most of it cancels.
    """
    count = 32
    positions, edge = far_apart(count)
    topology = independent_sites(["A"] * count, "R")
    lags = (10, 40, 200)
    for name in ("bd", "ld"):
        plan = plan_of(name, topology, edge, lags)
        values = values_of(plan)
        tables, states = first_states(
            plan, values, np.concatenate([positions] * (4096 // count // WINDOWS))
        )
        frames = simulate(plan, values, tables, states)[1]
        x, d = frames.means, frames.tangents[:, 0]
        moved, along = x[:, 1:] - x[:, :1], d[:, 1:] - d[:, :1]
        msd = jnp.mean(jnp.sum(moved**2, -1), (0, 2))
        found = jnp.mean(jnp.sum(2 * moved * along, -1), (0, 2)) / msd
        t = np.cumsum(lags) * plan.equation.time_step
        exact = -np.ones(3)
        if name == "ld":
            tau = float(values["mass"][0] / values["gamma"][0])
            exact = (np.log(free(t, tau, 1.001)) - np.log(free(t, tau, 0.999))) / 0.002
            np.testing.assert_allclose(found, exact, atol=0.03)
        else:
            np.testing.assert_allclose(found, exact, atol=1e-9)


def free(t: np.ndarray, tau: float, factor: float) -> np.ndarray:
    """MSD of a free Langevin particle, up to a constant, with gamma times `factor`."""
    return (t - tau / factor * -np.expm1(-t * factor / tau)) / factor


@pytest.mark.parametrize("name", DYNAMICS)
def test_a_window_goes_on_where_the_last_one_ended(name):
    """Two windows in a row are one of twice the length, bit for bit."""
    topology = independent_sites(["A"] * 27, "R")
    rng = np.random.default_rng(2)
    positions = np.stack([jittered_lattice(rng, EDGE, 0.06) for _ in range(WINDOWS)])
    plan = plan_of(name, topology, EDGE, (10, 10))
    values = values_of(plan)
    tables, states = first_states(plan, values, positions)
    half = replace(plan, lag_steps=(10,))
    middle, first = simulate(half, values, tables, states)
    end, second = simulate(half, values, tables, middle)
    whole, frames = simulate(plan, values, tables, states)
    np.testing.assert_array_equal(end.position, whole.position)
    np.testing.assert_array_equal(first.positions[:, 1], frames.positions[:, 1])
    np.testing.assert_array_equal(second.positions[:, 1], frames.positions[:, 2])


def test_means_are_those_of_the_steps_before_a_frame():
    topology = independent_sites(["A"] * 27, "R")
    rng = np.random.default_rng(2)
    positions = np.stack([jittered_lattice(rng, EDGE, 0.06) for _ in range(WINDOWS)])
    plan = plan_of("ld", topology, EDGE, (7,), mean_steps=4)
    values = values_of(plan)
    tables, states = first_states(plan, values, positions)
    _, frames = simulate(plan, values, tables, states)
    every = replace(plan, mean_steps=1, lag_steps=(1,) * 11)
    _, all_steps = simulate(every, values, tables, states)
    assert plan.frame_steps.tolist() == [4, 11]
    for number, step in enumerate(plan.frame_steps):
        last = slice(step - 3, step + 1)
        mean = np.mean(all_steps.positions[:, last], 1)
        np.testing.assert_allclose(frames.means[:, number], mean, rtol=1e-12)
        of_means = np.mean(all_steps.tangents[:, :, last], 2)
        np.testing.assert_allclose(frames.tangents[:, :, number], of_means, rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(frames.positions[:, number], all_steps.positions[:, step])


def test_neighbours_without_room_become_nan():
    topology = independent_sites(["A"] * 27, "R")
    x = jittered_lattice(np.random.default_rng(2), EDGE, 0.06)
    plan = plan_of("bd", topology, EDGE, (10,))
    roomy = rollout.with_capacity(plan, x[None], 1.0)
    lists, fault = rollout.neighbours_of(roomy, jnp.asarray(x))
    assert fault == 0.0
    assert lists[0] is None
    tight = replace(roomy, capacity=(None, roomy.capacity[1] - 1))
    assert np.isnan(rollout.neighbours_of(tight, jnp.asarray(x))[1])
    values = values_of(plan)
    tables, states = first_states(roomy, values, np.stack([x]))
    whole = simulate(roomy, values, tables, states)[0]
    broken = simulate(tight, values, tables, states)[0]
    everybody = simulate(plan, values, tables, states)[0]
    assert np.isnan(broken.position).all()
    np.testing.assert_allclose(whole.position, everybody.position, rtol=1e-9)


def test_the_tangent_of_a_liquid_is_that_of_its_mean_squared_displacement():
    """Fixed forces leave out what averages to zero in equilibrium: d ln MSD/d ln gamma of a fluid
    by tangents, and by simulations with gamma 10 % higher and lower; 64 windows, 2 sigma of the
    latter is 0.15."""
    topology = independent_sites(["A"] * 27, "R")
    rng = np.random.default_rng(2)
    positions = np.stack([jittered_lattice(rng, EDGE, 0.06) for _ in range(64)])
    plan = plan_of("bd", topology, EDGE, (100,), time_step=0.002, chunk=16)
    values = values_of(plan)
    tables, states = first_states(plan, values, positions)
    settled = simulate(replace(plan, lag_steps=(500,)), values, tables, states)[0]

    def msd(frames):
        moved = frames.means[:, 1] - frames.means[:, 0]
        return jnp.mean(jnp.sum(moved**2, -1))

    frames = simulate(plan, values, tables, settled)[1]
    moved = frames.means[:, 1] - frames.means[:, 0]
    along = frames.tangents[:, 0, 1] - frames.tangents[:, 0, 0]
    found = jnp.mean(2 * jnp.sum(moved * along, -1)) / msd(frames)
    up, down = (
        np.log(msd(simulate(plan, shifted(values, "gamma", 0, by), tables, settled)[1]))
        for by in (0.1, -0.1)
    )
    assert float(found) == pytest.approx((up - down) / 0.2, abs=0.15)
    assert float(found) == pytest.approx(-1.0, abs=0.1)


def test_directions_move_one_number_of_all_types():
    none = {"gamma": jnp.zeros(2), "strength": jnp.zeros((2, 3))}
    found = rollout.directions(none)
    assert found["gamma"].tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]
    assert found["strength"][2].tolist() == [[0, 1, 0], [0, 1, 0]]
    assert np.sum(found["strength"]) == 6
