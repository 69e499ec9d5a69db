"""Windows, and the gradient pulled back through them: finite differences and closed forms."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.dynamics import rollout
from dynmatch.dynamics.dynamics import Dynamics
from dynmatch.dynamics.rollout import Frames, RolloutPlan
from dynmatch.potentials import potential
from dynmatch.potentials.potential import PotentialForm
from dynmatch.training.classifiers import liquid as judge
from dynmatch.training.classifiers.liquid import Classifier, ClassifierForm
from tests.helpers.fluids import jittered_lattice, random_parameters

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = PotentialForm(
    cutoff=0.6,
    three_body_cutoff=0.55,
    core=0.25,
    thermal_energy=2.5,
    pair_basis=10,
    radial_channels=1,
    hidden=(3,),
)
EDGE = 1.25
SITES = 12
WINDOWS = 2
PLAN = RolloutPlan(
    kind="bd",
    form=FORM,
    kT=2.5,
    box=(EDGE,) * 3,
    time_step=0.004,
    lag_steps=(10,),
    gradient_steps=10,
    damping_time=float("inf"),
    rebuild=5,
    neighbours=0,
    parameter_stride=1,
    chunk=2,
)

simulate = jax.jit(rollout.simulate_windows, static_argnums=0)
start = jax.jit(rollout.start, static_argnums=0)
pull_back = jax.jit(rollout.pull_back, static_argnums=(0, 2))


@jax.jit
def tabulate(parameters):
    return potential.tabulate(FORM, parameters)


@pytest.fixture(scope="module")
def parameters(double_precision):
    return random_parameters(FORM, 1)


@pytest.fixture(scope="module")
def tables(parameters):
    return tabulate(parameters)


@pytest.fixture(scope="module")
def dynamics(double_precision):
    return Dynamics(gamma=jnp.float64(300.0), alpha=jnp.float64(1.3), mass=jnp.float64(30.0))


def first_states(plan, dynamics, tables):
    """Each window from its own sites on a jittered lattice that fills the box, and its own key."""
    rng = np.random.default_rng(2)
    edge = plan.box[0]
    positions = [jittered_lattice(rng, edge, 0.064 * edge)[:SITES] for _ in range(WINDOWS)]
    return start(
        plan, dynamics, tables, jax.random.split(jax.random.key(3), WINDOWS), np.stack(positions)
    )


def random_cotangents(plan) -> Frames:
    carrying = len(plan.frame_steps[plan.carrying])
    return Frames(*np.random.default_rng(4).normal(size=(2, WINDOWS, carrying, SITES, 3)))


def inner(a, b) -> float:
    """Scalar product of two trees of arrays."""
    return float(sum(jax.tree.leaves(jax.tree.map(lambda x, y: np.sum(x * y), a, b))))


@pytest.fixture(scope="module")
def score(double_precision):
    """Mean score of `Frames` (W, T, N, 3) by a classifier with random weights."""
    form = ClassifierForm(
        cutoff=0.6, inner=0.2, channels=2, scalars=3, vectors=2, tensors=2, hidden=(4,)
    )

    def one_window(seen):
        return judge.window_features(form, *seen, np.array(PLAN.box))

    window = jax.ShapeDtypeStruct((2, SITES, 3), jnp.float64)
    example = jax.eval_shape(one_window, Frames(window, window))
    rng = np.random.default_rng(6)
    variables = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape)),
        jax.eval_shape(Classifier(form).init, jax.random.key(0), example),
    )
    return lambda frames: jnp.mean(Classifier(form).apply(variables, jax.vmap(one_window)(frames)))


@pytest.mark.parametrize("kind, neighbours, mean_steps", [("bd", 0, 4), ("ld", 11, 1)])
def test_gradient_of_the_score_is_the_finite_difference(
    kind, neighbours, mean_steps, score, dynamics, parameters, tables
):
    """Along gamma, alpha, mass, and a random direction in each group of potential parameters.

    Undamped, through one whole lag, from states that are given: the lead-in that the mean positions
    of the first frame need is not part of it. The steps are small, as the force is tabulated and
    has kinks at the nodes of the table.
    """
    plan = replace(PLAN, kind=kind, neighbours=neighbours, mean_steps=mean_steps)
    states = first_states(plan, dynamics, tables)
    _, frames, befores = simulate(plan, dynamics, tables, states)
    cotangents = jax.tree.map(lambda a: a[:, 1:], jax.jit(jax.grad(score))(frames))
    by_dynamics, by_parameters = pull_back(
        plan, dynamics, tabulate, parameters, befores, cotangents, cotangents
    )
    stepwise = replace(plan, lag_steps=(1,) * 10, gradient_steps=0, mean_steps=1)
    first = jax.tree.map(lambda a: a[:, 0], befores)

    @jax.jit
    def evaluate(visited):
        """Score where the positions (W, 10, N, 3) of all steps of the lag are `visited`."""
        last = Frames(visited[:, -1], jnp.mean(visited[:, -mean_steps:], 1))
        return score(jax.tree.map(lambda a, b: jnp.stack([a[:, 0], b], 1), frames, last))

    def slope(h, shifted):
        """Central difference of the score; `shifted` takes a step to (dynamics, parameters)."""
        up, down = (
            simulate(stepwise, dynamics, tabulate(parameters), first)[1].positions[:, 1:]
            for dynamics, parameters in (shifted(h), shifted(-h))
        )
        return (float(evaluate(up)) - float(evaluate(down))) / (2 * h)

    def along_dynamics(name, h):
        return dynamics._replace(**{name: (1 + h) * getattr(dynamics, name)}), parameters

    def along_parameters(group, direction, h):
        moved = jax.tree.map(lambda p, d: p + h * d, parameters[group], direction)
        return dynamics, parameters | {group: moved}

    for name in Dynamics._fields:
        found = float(getattr(dynamics, name) * getattr(by_dynamics, name))
        assert found == pytest.approx(slope(1e-6, partial(along_dynamics, name)), rel=1e-5)
        assert (found == 0.0) == (kind == "bd" and name == "mass")

    for group in parameters:
        direction = random_parameters(FORM, 5)[group]
        found = inner(by_parameters[group], direction)
        expected = slope(1e-5, partial(along_parameters, group, direction))
        assert found == pytest.approx(expected, rel=1e-5)
        assert abs(found) > 1e-6


@pytest.mark.parametrize(
    "lag_steps, mean_steps, frames",
    [
        ((15, 10), 1, (None, 15, 25)),
        ((15, 10), 3, (None, 18, 28)),
        ((15, 10), 7, (None, 22, 32)),
        ((3, 2, 10), 1, (5, 8, 10, 20)),
        ((3, 2, 10), 3, (5, 8, 10, 20)),
    ],
)
def test_cut_and_damped_gradient_of_free_brownian_motion(
    lag_steps, mean_steps, frames, dynamics, parameters, tables
):
    """Without forces a frame is a sum of kicks proportional to sqrt(alpha/gamma).

    The n-th kick before a frame counts exp(-n dt/t_d), and none from the `gradient_steps`-th on;
    to the mean of the positions before the frame it counts as it does to each of them.
    `frames` are their steps, None where a frame carries nothing: a first lag shorter than
    `gradient_steps` makes a lead-in of that length, and all frames carry.
    """
    plan = replace(
        PLAN,
        box=(60.0,) * 3,
        lag_steps=lag_steps,
        mean_steps=mean_steps,
        gradient_steps=5,
        damping_time=0.01,
    )
    states = first_states(plan, dynamics, tables)
    befores = simulate(plan, dynamics, tables, states)[2]
    cotangents = random_cotangents(plan)
    by_dynamics, by_parameters = pull_back(
        plan, dynamics, tabulate, parameters, befores, cotangents, cotangents
    )

    one_step = replace(plan, lag_steps=(1,), gradient_steps=0, mean_steps=1)
    kicks = []
    for _ in range(frames[-1]):
        states, seen, _ = simulate(one_step, dynamics, tables, states)
        kicks.append(np.asarray(seen.positions[:, 1] - seen.positions[:, 0]))
    # of a kick (row) to the position after each step (column)
    later = np.arange(5) - np.arange(5)[:, None]
    weights = np.where(later >= 0, np.exp(-later * plan.time_step / plan.damping_time), 0.0)
    to_position, to_mean = weights[:, -1], np.sum(weights[:, -mean_steps:], 1) / mean_steps
    arriving = sum(
        np.sum(a * kick * cotangents.positions[:, frame] + b * kick * cotangents.means[:, frame])
        for frame, last in enumerate(last for last in frames if last)
        for a, b, kick in zip(to_position, to_mean, kicks[last - 5 : last], strict=True)
    )
    assert by_dynamics.gamma == pytest.approx(-arriving / 600.0, rel=1e-9)
    assert by_dynamics.alpha == pytest.approx(arriving / 2.6, rel=1e-9)
    assert by_dynamics.mass == 0.0
    assert inner(by_parameters, by_parameters) == 0.0


def test_damping_scales_the_cotangent_and_leaves_the_value():
    x = jnp.linspace(-1.0, 2.0, 7)
    value, pull = jax.vjp(lambda x: rollout._damped(0.9, x), x)
    np.testing.assert_allclose(value, x, rtol=1e-15)
    np.testing.assert_allclose(pull(x)[0], 0.9 * x, rtol=1e-15)


def test_windows_are_deterministic_and_independent_of_how_they_are_grouped(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    frames = simulate(PLAN, dynamics, tables, states)[1].positions
    again = simulate(PLAN, dynamics, tables, states)[1].positions
    assert np.array_equal(frames, again)
    one_by_one = simulate(replace(PLAN, chunk=1), dynamics, tables, states)[1].positions
    np.testing.assert_allclose(one_by_one, frames, atol=1e-12)
    steps = np.asarray(frames[:, 1] - frames[:, 0])
    assert np.corrcoef(steps.reshape(WINDOWS, -1))[0, 1] == pytest.approx(0.0, abs=0.5)


def test_frames_begin_with_the_state_given_and_end_with_the_state_returned(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    half = replace(PLAN, gradient_steps=5)
    end, (frames, means), befores = simulate(half, dynamics, tables, states)
    assert np.array_equal(frames, means)
    assert np.array_equal(frames[:, 0], states.position)
    assert np.array_equal(frames[:, -1], end.position)
    middle = simulate(replace(PLAN, lag_steps=(5,), gradient_steps=5), dynamics, tables, states)[0]
    np.testing.assert_allclose(befores.position[:, 0], middle.position, atol=1e-12)


@pytest.mark.parametrize("gradient_steps", [0, 5, 20])
def test_means_are_over_the_steps_before_a_frame(gradient_steps, dynamics, tables):
    """Against the positions after every single step, whatever the stops in between."""
    plan = replace(PLAN, lag_steps=(10, 6), gradient_steps=gradient_steps, mean_steps=8)
    states = first_states(plan, dynamics, tables)
    seen = simulate(plan, dynamics, tables, states)[1]
    stepwise = replace(PLAN, lag_steps=(1,) * plan.frame_steps[-1], gradient_steps=0)
    visited = simulate(stepwise, dynamics, tables, states)[1].positions
    for number, step in enumerate(plan.frame_steps):
        np.testing.assert_allclose(seen.positions[:, number], visited[:, step], atol=1e-12)
        mean = visited[:, step - 7 : step + 1].mean(1)
        np.testing.assert_allclose(seen.means[:, number], mean, atol=1e-12)


def test_all_sites_as_neighbours_are_all_pairs(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    everyone = replace(PLAN, neighbours=SITES - 1)
    frames, same = (
        simulate(plan, dynamics, tables, states)[1].positions for plan in (PLAN, everyone)
    )
    np.testing.assert_allclose(same, frames, atol=1e-12)


def test_a_list_without_room_is_not_passed_over(dynamics, tables):
    """Every site has more than one neighbour: forces that leave some out must not look like any."""
    states = first_states(PLAN, dynamics, tables)
    frames = simulate(replace(PLAN, neighbours=1), dynamics, tables, states)[1].positions
    assert np.isnan(frames[:, -1]).all()
