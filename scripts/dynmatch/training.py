r"""Dynamics matching: the minimax game between a generator of trajectories and a classifier.

    theta* = argmax_theta { min_phi [ <f_phi(R_0:T)>_Q(theta) - <f_phi(M(r_0:T))>_P ] }

(Wang & Voth, arXiv:2504.06505). P are windows of the projected all-atom trajectory, Q windows of the
coarse-grained model; theta = potential, gamma, alpha and (Langevin) m. One update:

1. W persistent replicas of the model are continued over one window each;
2. the classifier takes a few steps on these windows against fresh reference windows;
3. the gradient of the classifier's score is pulled back through the same windows, and theta
   moves up the score.

Pure functions on a frozen `GameState`; the loop that times, reports and checkpoints is in `loop`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random

from dynmatch import classifier as judge
from dynmatch import potential, rollout
from dynmatch.classifier import Classifier, FrameFeatures, Scale, WindowFeatures
from dynmatch.dynamics import Dynamics
from dynmatch.learning_data import LearningData
from dynmatch.rollout import RolloutPlan

DYNAMICS = ("gamma", "alpha", "mass")
MOVING_AVERAGE = 0.95
"""Of the score gap and its floor, per update."""


@dataclass(frozen=True)
class GameSettings:
    """windows: model windows an update; reference_windows: per classifier step;
    classifier_steps per update; classifier_rate; penalty: weight of R1 and R2;
    pair_rate, radial_rate, network_rate, dynamics_rate: Adam rates, the last on logarithms;
    updates: length of the cosine decay of the rates; averaging: of the generator, per update;
    roughness: weight of the pair term's roughness; freeze: names out of gamma, alpha, m."""

    windows: int
    reference_windows: int
    classifier_steps: int
    classifier_rate: float
    penalty: float
    pair_rate: float
    radial_rate: float
    network_rate: float
    dynamics_rate: float
    updates: int
    averaging: float
    roughness: float
    freeze: tuple[str, ...]


class Reference(NamedTuple):
    """The reference on the device: features of every frame, displacements, and window starts."""

    frames: FrameFeatures
    positions: Array
    offsets: Array
    starts: Array
    held_out: Array
    scale: Scale


class GameState(NamedTuple):
    """Everything an update changes. `parameters` = {"potential", "dynamics"}, the latter ln values."""

    parameters: dict
    averaged: dict
    moments: optax.OptState
    classifier: dict
    classifier_moments: optax.OptState
    replicas: tuple
    key: Array
    update: Array
    score_gap: Array
    gap_floor: Array


class Game(NamedTuple):
    """The pure functions of one training."""

    init: Callable
    update: Callable


def dynamics_of(parameters: dict) -> Dynamics:
    """Positive values of the learned ln gamma, ln alpha, ln mass."""
    return Dynamics(*(jnp.exp(parameters["dynamics"][name]) for name in DYNAMICS))


def prepare_reference(form: judge.ClassifierForm, data: LearningData) -> Reference:
    """Features of all reference frames, and their standardisation."""
    box = jnp.asarray(data.box, jnp.float32)
    positions = jnp.asarray(data.frames)
    features = jax.jit(
        lambda frames: lax.map(lambda x: judge.frame_features(form, x, box), frames, batch_size=8)
    )(positions)
    reference = Reference(
        features,
        positions,
        jnp.asarray(data.offsets),
        jnp.asarray(data.starts),
        jnp.asarray(data.held_out),
        None,
    )
    some = data.starts[:: max(1, len(data.starts) // 256)]
    return reference._replace(
        scale=judge.standard_scale(reference_windows(reference, jnp.asarray(some)))
    )


def reference_windows(reference: Reference, starts: Array) -> WindowFeatures:
    """Features, not standardised, of the windows that start at grid indices `starts` (W,)."""
    index = starts[:, None] + reference.offsets[None, :]
    frames = jax.tree.map(lambda a: a[index], reference.frames)
    return judge.assemble(frames, judge.displacements(reference.positions[index]))


def make_game(
    plan: RolloutPlan, form: judge.ClassifierForm, settings: GameSettings, reference: Reference
) -> Game:
    """The game's `init(key, parameters) -> GameState` and `update(state, reference, rate) -> ...`.

    `rate` scales all rates of the generator; `update` returns the new state and the metrics of
    history.csv as scalars.
    """
    box = jnp.asarray(plan.box, jnp.float32)
    classifier = Classifier(form)
    classifier_adam = optax.adam(settings.classifier_rate, b1=0.0, b2=0.99)
    adam = _generator_optimiser(settings)

    def tabulate(parameters):
        return potential.tabulate(plan.form, parameters)

    def features(frames):
        one = lambda x: judge.window_features(form, x, box)  # noqa: E731
        return judge.standardise(reference.scale, lax.map(one, frames))

    def score(variables, frames):
        return jnp.mean(classifier.apply(variables, features(frames)))

    def draw(reference, key, starts, count):
        chosen = starts[random.randint(key, (count,), 0, starts.shape[0])]
        return judge.standardise(reference.scale, reference_windows(reference, chosen))

    def init(key, parameters) -> GameState:
        key, first, noise, weights = random.split(key, 4)
        chosen = reference.starts[
            random.randint(first, (settings.windows,), 0, reference.starts.shape[0])
        ]
        replicas = rollout.start(
            plan,
            dynamics_of(parameters),
            tabulate(parameters["potential"]),
            random.split(noise, settings.windows),
            reference.positions[chosen],
        )
        example = draw(reference, first, reference.starts, 2)
        variables = classifier.init(weights, example)
        return GameState(
            parameters,
            parameters,
            adam.init(parameters),
            variables,
            classifier_adam.init(variables),
            replicas,
            key,
            jnp.int32(0),
            jnp.float32(0.0),
            jnp.float32(0.0),
        )

    def classifier_step(carry, key, generated, reference):
        variables, moments = carry
        batch = draw(reference, key, reference.starts, settings.reference_windows)
        loss, gradient = jax.value_and_grad(
            lambda v: judge.classifier_loss(classifier, v, generated, batch, settings.penalty)
        )(variables)
        steps, moments = classifier_adam.update(gradient, moments, variables)
        return (optax.apply_updates(variables, steps), moments), loss

    def update(state: GameState, reference: Reference, rate: Array):
        number = state.update + 1
        key, *keys = random.split(state.key, 4)
        dynamics = dynamics_of(state.parameters)
        tables = tabulate(state.parameters["potential"])
        replicas, frames, befores = rollout.simulate_windows(plan, dynamics, tables, state.replicas)

        # measured before the classifier has seen these windows
        generated = features(frames)
        scores = jnp.mean(classifier.apply(state.classifier, generated), -1)
        held_out = draw(reference, keys[0], reference.held_out, 2 * settings.windows)
        held_scores = jnp.mean(classifier.apply(state.classifier, held_out), -1)
        gap = jnp.mean(held_scores) - jnp.mean(scores)
        halves = jnp.mean(held_scores[::2]) - jnp.mean(held_scores[1::2])
        held_out_loss = judge.classifier_loss(
            classifier, state.classifier, generated, held_out, settings.penalty
        )

        (variables, classifier_moments), losses = lax.scan(
            lambda carry, k: classifier_step(carry, k, generated, reference),
            (state.classifier, state.classifier_moments),
            random.split(keys[1], settings.classifier_steps),
        )

        cotangents = jax.grad(lambda x: score(variables, x))(frames)[:, 1:]
        up_dynamics, up_potential = rollout.pull_back(
            plan, dynamics, tabulate, state.parameters["potential"], befores, cotangents
        )
        rough = potential.roughness(state.parameters["potential"])
        smooth = jax.grad(potential.roughness)(state.parameters["potential"])
        down = {
            "potential": jax.tree.map(
                lambda up, r: settings.roughness * r - up, up_potential, smooth
            ),
            # d/d ln x = x d/dx
            "dynamics": {n: -getattr(up_dynamics, n) * getattr(dynamics, n) for n in DYNAMICS},
        }
        norm = optax.global_norm(down)
        steps, moments = adam.update(down, state.moments, state.parameters)
        steps = jax.tree.map(lambda s: rate * s, steps)
        parameters = optax.apply_updates(state.parameters, steps)
        keep = jnp.minimum(settings.averaging, number / (number + 10.0))
        averaged = jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, state.averaged, parameters)
        smoothing = jnp.minimum(MOVING_AVERAGE, 1.0 - 1.0 / number)

        state = GameState(
            parameters,
            averaged,
            moments,
            variables,
            classifier_moments,
            replicas,
            key,
            number,
            smoothing * state.score_gap + (1 - smoothing) * gap,
            smoothing * state.gap_floor + (1 - smoothing) * jnp.abs(halves),
        )
        metrics = {
            "score_gap": gap,
            "score_gap_smoothed": state.score_gap,
            "gap_floor": state.gap_floor,
            "gradient_norm": norm,
            "classifier_loss": losses[-1],
            "heldout_loss": held_out_loss,
            "roughness": rough,
            "gamma": dynamics.gamma,
            "alpha": dynamics.alpha,
            "mass_amu": dynamics.mass,
        }
        return state, metrics

    return Game(jax.jit(init), jax.jit(update))


def _generator_optimiser(settings: GameSettings) -> optax.GradientTransformation:
    """Adam per group of parameters, gradients clipped per group, rates on a cosine decay."""

    def group(rate):
        schedule = optax.cosine_decay_schedule(rate, settings.updates, alpha=0.02)
        return optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adam(schedule, b1=0.8, b2=0.99),
        )

    groups = {
        "pair": group(settings.pair_rate),
        "radial": group(settings.radial_rate),
        "network": group(settings.network_rate),
        "dynamics": group(settings.dynamics_rate),
        "frozen": optax.set_to_zero(),
    }
    labels = {
        "potential": {"pair": "pair", "radial": "radial", "network": "network"},
        "dynamics": {n: "frozen" if n in settings.freeze else "dynamics" for n in DYNAMICS},
    }
    return optax.partition(groups, labels)


def identifiable(kT: float, gamma: float, alpha: float, mass: float) -> dict[str, float]:
    """The combinations that trajectories determine: D0 (nm^2/ps), gamma/alpha, m/alpha^2."""
    return {
        "d0_nm2_per_ps": kT * alpha / gamma,
        "gamma_over_alpha": gamma / alpha,
        "mass_over_alpha2": mass / alpha**2,
    }


def is_finite(metrics: dict) -> bool:
    return all(np.isfinite(value) for value in metrics.values())
