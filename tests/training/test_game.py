"""The steps of a game, each by itself."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.dynamics.registry import equation_of
from dynmatch.settings import (
    BrownianSettings,
    ClassifierSettings,
    MemorySettings,
    TrainingSettings,
)
from dynmatch.training.classifiers import quadratic
from tests.helpers.games import KT, small_game

SETTINGS = TrainingSettings(
    windows=8,
    aa_windows=8,
    updates=20,
    bd=BrownianSettings(time_step=0.005),
    classifier=ClassifierSettings(steps=2, hidden=(4,), channels=2),
)
pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def played():
    """A small game with two types, after one simulation and one judgement."""
    small = small_game("bd", SETTINGS, names=("A", "B"))
    _, frames = small.game.simulate(small.state)
    judged, found, _ = small.game.judge(small.state, small.drawn(1), frames)
    return small, judged, frames, *found


def test_the_potential_learns_by_the_covariance_of_score_and_energy_gradient(played):
    """-Cov(s, dU/dtheta)/kT over windows, of frames at both ends, one energy at a time."""
    small, judged, frames, _, scores = played
    plan, parameters = small.game.plan, judged.parameters["potential"]
    found = small.game._by_covariance(parameters, frames, scores)

    def energy(parameters, x):
        tables = plan.potential.tabulate(parameters)
        return plan.potential.energy(tables, x, jnp.asarray(plan.box), plan.topology)

    slope = jax.jit(jax.grad(energy))
    of_windows = [
        jax.tree.map(
            lambda a, b: np.asarray(a) + np.asarray(b),
            slope(parameters, x[0]),
            slope(parameters, x[-1]),
        )
        for x in frames.positions
    ]
    s = np.asarray(scores)
    for path, value in jax.tree_util.tree_leaves_with_path(found):
        each = np.stack(
            [dict(jax.tree_util.tree_leaves_with_path(one))[path] for one in of_windows]
        )
        expected = -np.tensordot(s - s.mean(), each, 1) / (len(s) - 1) / KT
        np.testing.assert_allclose(value, expected, atol=1e-4 * np.abs(expected).max() + 1e-7)


def test_the_dynamics_learns_along_the_tangents_of_its_own_types(played):
    """The score's change for a displacement of the means along the tangents of one type."""
    small, _, frames, cotangents, _ = played
    gradient, response = small.game._along_tangents(frames, cotangents)
    assert gradient.shape == (2,)
    for number in (0, 1):
        own = small.game.plan.types == number
        expected = np.sum(np.asarray(cotangents * frames.tangents[:, 0])[:, :, own])
        assert float(gradient[number]) == pytest.approx(expected, rel=1e-4)
    eigenvalues = np.linalg.eigvalsh(response.metric())
    assert eigenvalues.min() > 0


def test_cotangents_are_the_slope_of_a_score_that_has_not_seen_the_windows(played):
    """Of the network as it was before, plus the best quadratic answer to the other windows; the
    structure is held."""
    small, _, frames, cotangents, _ = played
    game, rng = small.game, np.random.default_rng(3)
    along = jnp.asarray(rng.normal(size=frames.means.shape) * 1e-3, jnp.float32)

    answers = game._quadratic_answers(
        *map(game._motion, (frames.means, small.drawn(1).reference.means))
    )

    def score(step):
        moved = frames._replace(means=frames.means + step * along)
        of_network = game._network.apply(small.state.classifier, game._features(moved))
        vectors = game._vectors(game._motion(moved.means))
        return float(jnp.mean(of_network + quadratic.scores(answers, vectors, game.plan.types)))

    slope = (score(1.0) - score(-1.0)) / 2
    assert float(jnp.sum(cotangents * along)) == pytest.approx(slope, rel=0.02, abs=1e-6)


def test_the_metric_is_that_of_displacements_of_a_normal_distribution():
    """One lag, whitened: d C/d ln gamma = -C for free sites, so that the metric is 3/2 over the
    three components' share: tr(dC dC)/2 = 1/2, within sampling errors of 8 x 27 x 3 numbers."""
    small = small_game("bd", SETTINGS, friction=300.0)
    zero = jax.tree.map(jnp.zeros_like, small.state.parameters["potential"])
    state = small.state._replace(parameters=small.state.parameters | {"potential": zero})
    _, frames = small.game.simulate(state)
    features = small.game._motion(frames.means).rank1 @ small.game.standard.whitening[0]
    variance = float(jnp.mean(features**2))
    # with the tangent exactly minus half of a free displacement
    free = frames._replace(tangents=-0.5 * frames.means[:, None])
    _, response = small.game._along_tangents(free, jnp.zeros_like(frames.means))
    assert float(response.metric()[0, 0]) == pytest.approx(0.5 * variance**2, rel=1e-3)


@pytest.mark.parametrize("frozen", [("gamma",), ("alpha",), ("gamma", "alpha")])
def test_a_frozen_value_stays_where_it_is(frozen):
    small = small_game("bd", SETTINGS, freeze=frozen)
    state = small.state
    for number in (1, 2):
        state, _ = small.game.update(state, small.drawn(number), jnp.float32(1.0))
    before, after = (s.parameters["dynamics"] for s in (small.state, state))
    for name in before:
        assert (float(jnp.squeeze(before[name] - after[name])) == 0.0) == (
            name in frozen or len(frozen) == 2
        )


def test_no_memory_is_learned_that_a_step_cannot_follow(played):
    """A time at the step that is pushed below it stays, and can still go up; likewise a frequency
    of one radian a step that is pushed up."""
    game = played[0].game
    equation = equation_of("gle").of(MemorySettings(time_step=0.01))
    game = replace(game, plan=replace(game.plan, equation=equation))
    logs = {
        "gamma": jnp.zeros(1),
        "time": jnp.log(jnp.array([[0.01, 0.02]])),
        "frequency": jnp.log(jnp.array([[100.0, 20.0]])),
    }
    down, up = ({name: sign + 0 * x for name, x in logs.items()} for sign in (-1.0, 1.0))
    moved = game._moved(logs, down)
    np.testing.assert_allclose(jnp.exp(moved["time"]), 0.01)
    assert float(moved["gamma"][0]) == -1.0
    back = game._moved(moved, up)
    np.testing.assert_allclose(back["time"], jnp.log(0.01) + 1, rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(back["frequency"]), [[100.0, 20.0]], rtol=1e-5)
    np.testing.assert_allclose(jnp.exp(game._moved(back, up)["frequency"]), [[100.0, 20 * np.e]])


@pytest.mark.parametrize("renewal", [0.0, 0.3, 1.0])
def test_renewed_replicas_begin_at_frames_of_the_reference(renewal):
    """A friction so high that nothing moves: after an update a replica is where it was, or at a
    frame of the reference. Of 200 replicas, 0.3 of them within 4 standard deviations, 26."""
    count = 200
    settings = replace(SETTINGS, windows=count, aa_windows=4, renewal=renewal)
    small = small_game("bd", settings, lag_steps=2, friction=1e12)
    elsewhere = small.state.replicas.set(position=small.state.replicas.position + 0.02)
    state = small.state._replace(replicas=elsewhere)
    after, _ = small.game.update(state, small.drawn(1), jnp.float32(1.0))
    x = np.asarray(after.replicas.position)
    stayed = np.abs(x - elsewhere.position).max((1, 2)) < 1e-4
    apart = np.abs(x[:, None] - small.data.trajectory.positions[None]).max((2, 3))
    renewed = apart.min(1) < 1e-4
    assert (stayed ^ renewed).all()
    spread = 4 * np.sqrt(0.3 * 0.7 * count) * (0 < renewal < 1)
    assert renewed.sum() == pytest.approx(renewal * count, abs=spread)


def test_a_game_without_windows_of_motion_leaves_the_dynamics():
    """Nothing carried: no tangents, no step."""
    small = small_game("bd", SETTINGS)
    game = replace(small.game, plan=replace(small.game.plan, learned=()))
    state = small.state
    state, _ = game.update(state, small.drawn(1), jnp.float32(1.0))
    state, _ = game.update(state, small.drawn(2), jnp.float32(1.0))
    for name, value in state.parameters["dynamics"].items():
        np.testing.assert_array_equal(value, small.state.parameters["dynamics"][name])
