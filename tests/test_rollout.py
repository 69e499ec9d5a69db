"""Windows, and the gradient pulled back through them: finite differences and closed forms."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fluids import jittered_lattice, random_parameters

from dynmatch import classifier as judge
from dynmatch import potential, rollout
from dynmatch.classifier import Classifier, ClassifierForm
from dynmatch.dynamics import Dynamics
from dynmatch.potential import PotentialForm
from dynmatch.rollout import RolloutPlan

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


def random_cotangents(plan) -> np.ndarray:
    carrying = len(plan.frame_steps[plan.carrying])
    return np.random.default_rng(4).normal(size=(WINDOWS, carrying, SITES, 3))


def inner(a, b) -> float:
    """Scalar product of two trees of arrays."""
    return float(sum(jax.tree.leaves(jax.tree.map(lambda x, y: np.sum(x * y), a, b))))


@pytest.fixture(scope="module")
def score(double_precision):
    """Mean score of windows (W, T, N, 3) by a classifier with random weights."""
    form = ClassifierForm(
        cutoff=0.6, inner=0.2, channels=2, scalars=3, vectors=2, tensors=2, hidden=(4,)
    )
    one_window = partial(judge.window_features, form, box=np.array(PLAN.box))
    window = jax.ShapeDtypeStruct((2, SITES, 3), jnp.float64)
    example = jax.eval_shape(one_window, window)
    rng = np.random.default_rng(6)
    variables = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape)),
        jax.eval_shape(Classifier(form).init, jax.random.key(0), example),
    )
    return lambda frames: jnp.mean(Classifier(form).apply(variables, jax.vmap(one_window)(frames)))


@pytest.mark.parametrize("kind, neighbours", [("bd", 0), ("ld", 11)])
def test_gradient_of_the_score_is_the_finite_difference(
    kind, neighbours, score, dynamics, parameters, tables
):
    """Along gamma, alpha, mass, and a random direction in each group of potential parameters.

    Undamped, through one whole lag, from states that are given. The
    steps are small, as the force is tabulated and has kinks at the nodes of the table.
    """
    plan = replace(PLAN, kind=kind, neighbours=neighbours)
    states = first_states(plan, dynamics, tables)
    _, frames, befores = simulate(plan, dynamics, tables, states)
    cotangents = jax.jit(jax.grad(score))(frames)[:, 1:]
    by_dynamics, by_parameters = pull_back(
        plan, dynamics, tabulate, parameters, befores, cotangents, cotangents
    )
    evaluate = jax.jit(score)

    def slope(h, shifted):
        """Central difference of the score; `shifted` takes a step to (dynamics, parameters)."""
        up, down = (
            float(evaluate(simulate(plan, dynamics, tabulate(parameters), states)[1]))
            for dynamics, parameters in (shifted(h), shifted(-h))
        )
        return (up - down) / (2 * h)

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
    "lag_steps, frames", [((15, 10), (None, 15, 25)), ((3, 2, 10), (5, 8, 10, 20))]
)
def test_cut_and_damped_gradient_of_free_brownian_motion(
    lag_steps, frames, dynamics, parameters, tables
):
    """Without forces a frame is a sum of kicks proportional to sqrt(alpha/gamma).

    The n-th kick before a frame counts exp(-n dt/t_d), and none from the `gradient_steps`-th on.
    `frames` are their steps, None where a frame carries nothing: a first lag shorter than
    `gradient_steps` makes a lead-in of that length, and all frames carry.
    """
    plan = replace(PLAN, box=(60.0,) * 3, lag_steps=lag_steps, gradient_steps=5, damping_time=0.01)
    states = first_states(plan, dynamics, tables)
    befores = simulate(plan, dynamics, tables, states)[2]
    cotangents = random_cotangents(plan)
    by_dynamics, by_parameters = pull_back(
        plan, dynamics, tabulate, parameters, befores, cotangents, cotangents
    )

    one_step = replace(plan, lag_steps=(1,), gradient_steps=0)
    kicks = []
    for _ in range(frames[-1]):
        states, positions, _ = simulate(one_step, dynamics, tables, states)
        kicks.append(np.asarray(positions[:, 1] - positions[:, 0]))
    weights = np.exp(-np.arange(5)[::-1] * plan.time_step / plan.damping_time)
    arriving = sum(
        np.sum(weight * kick * cotangents[:, frame])
        for frame, last in enumerate(last for last in frames if last)
        for weight, kick in zip(weights, kicks[last - 5 : last], strict=True)
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
    frames = simulate(PLAN, dynamics, tables, states)[1]
    again = simulate(PLAN, dynamics, tables, states)[1]
    assert np.array_equal(frames, again)
    one_by_one = simulate(replace(PLAN, chunk=1), dynamics, tables, states)[1]
    np.testing.assert_allclose(one_by_one, frames, atol=1e-12)
    steps = np.asarray(frames[:, 1] - frames[:, 0])
    assert np.corrcoef(steps.reshape(WINDOWS, -1))[0, 1] == pytest.approx(0.0, abs=0.5)


def test_frames_begin_with_the_state_given_and_end_with_the_state_returned(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    half = replace(PLAN, gradient_steps=5)
    end, frames, befores = simulate(half, dynamics, tables, states)
    assert np.array_equal(frames[:, 0], states.position)
    assert np.array_equal(frames[:, -1], end.position)
    middle = simulate(replace(PLAN, lag_steps=(5,), gradient_steps=5), dynamics, tables, states)[0]
    np.testing.assert_allclose(befores.position[:, 0], middle.position, atol=1e-12)


def test_all_sites_as_neighbours_are_all_pairs(dynamics, tables):
    states = first_states(PLAN, dynamics, tables)
    everyone = replace(PLAN, neighbours=SITES - 1)
    frames, same = (simulate(plan, dynamics, tables, states)[1] for plan in (PLAN, everyone))
    np.testing.assert_allclose(same, frames, atol=1e-12)


def test_a_list_without_room_is_not_passed_over(dynamics, tables):
    """Every site has more than one neighbour: forces that leave some out must not look like any."""
    states = first_states(PLAN, dynamics, tables)
    frames = simulate(replace(PLAN, neighbours=1), dynamics, tables, states)[1]
    assert np.isnan(frames[:, -1]).all()
