r"""Dynamics matching: the minimax game between a generator of trajectories and a classifier.

    theta* = argmax_theta { min_phi [ <f_phi(R_0:T)>_Q(theta) - <f_phi(M(r_0:T))>_P ] }

(Wang & Voth, arXiv:2504.06505). P are windows of the projected all-atom trajectory, Q windows of
the coarse-grained model; theta = potential, gamma, alpha and (Langevin) m. One update:

1. W persistent replicas of the model are continued over one window each; where the populations of
   metastable states would otherwise be those of the first draw for the whole training, some are
   taken from the reference anew;
2. the classifier takes a few steps on these windows against fresh reference windows;
3. the gradient of the classifier's score is pulled back through the same windows, and theta
   moves up the score.

Pure functions on a frozen `GameState`; the loop that times, reports and checkpoints is in `loop`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random
from jax.flatten_util import ravel_pytree

from dynmatch.dynamics import rollout
from dynmatch.dynamics.dynamics import Dynamics, per_site
from dynmatch.dynamics.rollout import Frames, RolloutPlan
from dynmatch.potentials import potential
from dynmatch.runtime.sharding import devices_for, mean, placed, spread, total
from dynmatch.sites.windows import LearningData
from dynmatch.training.classifiers import liquid as judge
from dynmatch.training.classifiers.liquid import FrameFeatures, Scale, WindowFeatures

DYNAMICS = ("gamma", "alpha", "mass")
WARM_UP = 15
"""Updates over which the rates of the generator rise."""
MOVING_AVERAGE = 0.95
"""Of the score gap and its noise, per update."""
FLOOR_DEVIATIONS = 2.0
"""The floor of the score gap in standard deviations of the gap between two halves of held-out
reference windows: below it, a batch of the model is not told from one of the reference."""


@dataclass(frozen=True)
class GameSettings:
    """windows: model windows an update; renewal: fraction of them that start anew from frames of
    the reference; reference_windows: per classifier step;
    classifier_steps per update; classifier_rate; penalty: weight of R1 and R2;
    pair_rate, radial_rate, network_rate, dynamics_rate: Adam rates, the last on logarithms;
    updates: length of the cosine decay of the rates;
    roughness: weight of the pair term's roughness; freeze: names out of gamma, alpha, m."""

    windows: int
    renewal: float
    reference_windows: int
    classifier_steps: int
    classifier_rate: float
    penalty: float
    pair_rate: float
    radial_rate: float
    network_rate: float
    dynamics_rate: float
    updates: int
    roughness: float
    freeze: tuple[str, ...]


class Reference(NamedTuple):
    """The reference on the device: features of every frame, positions, their means over the time
    before, and window starts."""

    frames: FrameFeatures
    positions: Array
    means: Array
    offsets: Array
    starts: Array
    held_out: Array


class GameState(NamedTuple):
    """Everything an update changes; `parameters` = {"potential", "dynamics": ln values}."""

    parameters: dict
    averaged: dict
    moments: optax.OptState
    classifier: dict
    classifier_moments: optax.OptState
    replicas: tuple
    key: Array
    update: Array
    score_gap: Array
    noise: Array


class Game(NamedTuple):
    """The pure functions of one training."""

    init: Callable
    update: Callable
    restart: Callable
    place: Callable


def dynamics_of(parameters: dict) -> Dynamics:
    """Positive values of the learned ln gamma, ln alpha, ln mass."""
    return Dynamics(*(jnp.exp(parameters["dynamics"][name]) for name in DYNAMICS))


def prepare_reference(form: judge.ClassifierForm, data: LearningData) -> tuple[Reference, Scale]:
    """Features of all reference frames, and their standardisation."""
    box = jnp.asarray(data.box, jnp.float32)
    positions = jnp.asarray(data.frames)
    features = jax.jit(
        lambda frames: lax.map(lambda x: judge.frame_features(form, x, box), frames, batch_size=8)
    )(positions)
    reference = Reference(
        features,
        positions,
        jnp.asarray(data.means),
        jnp.asarray(data.offsets),
        jnp.asarray(data.starts),
        jnp.asarray(data.held_out),
    )
    some = data.starts[:: max(1, len(data.starts) // 256)]
    windows = reference_windows(form, reference, jnp.asarray(some), box)
    return reference, judge.standard_scale(windows, form)


def reference_windows(
    form: judge.ClassifierForm, reference: Reference, starts: Array, box: Array
) -> WindowFeatures:
    """Features, not standardised, of the windows that start at grid indices `starts` (W,)."""
    index = starts[:, None] + reference.offsets[None, :]
    frames = jax.tree.map(lambda a: a[index], reference.frames)
    return judge.assemble(form, frames, reference.means[index], box)


def make_game(
    plan: RolloutPlan, form: judge.ClassifierForm, settings: GameSettings, scale: Scale
) -> Game:
    """The game's functions, compiled:

    init(key, parameters, reference) -> GameState
    update(state, reference, rate) -> GameState, metrics
    restart(key, state, reference) -> GameState with fresh replicas, from frames of the reference
    place(reference) -> the reference on all devices of the game, which else is moved every update

    `rate` scales all rates of the generator; the metrics are scalars for history.csv. The reference
    is an argument, not part of the program: it can be large.
    """
    box = jnp.asarray(plan.box, jnp.float32)
    classifier = judge.network(form)
    classifier_adam = optax.adam(settings.classifier_rate, b1=0.0, b2=0.99)
    types = 1 if plan.form.types is None else len(plan.form.names)
    adam = _generator_optimiser(plan.kind, settings, types)
    mesh = devices_for(math.gcd(settings.windows, settings.reference_windows))
    roll_out = spread(partial(rollout.simulate_windows, plan), mesh, (False, False, True))

    def tabulate(parameters):
        return potential.tabulate(plan.form, parameters)

    def of_windows(dynamics, parameters, *windows):
        return total(rollout.pull_back(plan, dynamics, tabulate, parameters, *windows), mesh)

    pull_back = spread(of_windows, mesh, (False, False, True, True, True), joined=False)

    def features(frames):
        return judge.standardise(scale, judge.windows_features(form, *frames, box))

    def score(variables, frames):
        return jnp.mean(classifier.apply(variables, features(frames)))

    def score_of_motion(variables, frames):
        """The score as a function of the displacements alone, the structure held fixed."""
        held = lax.stop_gradient(frames.positions)
        return score(variables, frames._replace(positions=held))

    def draw(key, starts, count):
        return starts[random.randint(key, (count,), 0, starts.shape[0])]

    def windows_at(reference, chosen):
        return judge.standardise(scale, reference_windows(form, reference, chosen, box))

    def fresh_replicas(key, parameters, reference):
        first, noise = random.split(key)
        count = settings.windows
        chosen = random.randint(first, (count,), 0, reference.starts.shape[0])
        return rollout.start(
            plan,
            dynamics_of(parameters),
            tabulate(parameters["potential"]),
            random.split(noise, count),
            reference.positions[reference.starts[chosen]],
        )

    def init(key, parameters, reference: Reference) -> GameState:
        key, first, weights = random.split(key, 3)
        some = windows_at(reference, draw(first, reference.starts, 2))
        variables = classifier.init(weights, some)
        return GameState(
            parameters=parameters,
            averaged=parameters,
            moments=adam.init(parameters),
            classifier=variables,
            classifier_moments=classifier_adam.init(variables),
            replicas=fresh_replicas(first, parameters, reference),
            key=key,
            update=jnp.int32(0),
            score_gap=jnp.float32(0.0),
            noise=jnp.float32(0.0),
        )

    def restart(key, state: GameState, reference: Reference) -> GameState:
        key, fresh = random.split(key)
        return state._replace(replicas=fresh_replicas(fresh, state.parameters, reference), key=key)

    def classifier_step(carry, chosen, generated, reference):
        variables, moments = carry
        batch = windows_at(reference, chosen)
        found = jax.value_and_grad(
            lambda v: judge.classifier_loss(classifier, v, generated, batch, settings.penalty)
        )(variables)
        loss, gradient = mean(found, mesh)
        steps, moments = classifier_adam.update(gradient, moments, variables)
        return (optax.apply_updates(variables, steps), moments), loss

    @jax.jit
    def renew(state: GameState, reference: Reference, key: Array):
        """The replicas, each with probability `renewal` from a frame of the reference."""
        choice, fresh = random.split(key)
        new = random.bernoulli(choice, settings.renewal, (settings.windows,))
        drawn = fresh_replicas(fresh, state.parameters, reference)

        def chosen(a, b):
            return jnp.where(new.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)

        return jax.tree.map(chosen, drawn, state.replicas)

    # three programs instead of one: compiling takes memory in proportion to a program's size
    @jax.jit
    def simulate(state: GameState):
        tables = tabulate(state.parameters["potential"])
        return roll_out(dynamics_of(state.parameters), tables, state.replicas)

    def judge_share(
        variables, moments, reference: Reference, frames: Frames, held_out: Array, chosen: Array
    ):
        """`judge_windows` on one device, of its share of the windows.

        held_out (2 W,) and chosen (A, steps) are grid indices at which windows start.
        """
        # measured before the classifier has seen these windows
        generated = features(frames)
        scores = jnp.mean(classifier.apply(variables, generated), -1)
        held_out = windows_at(reference, held_out)
        held_scores = jnp.mean(classifier.apply(variables, held_out), -1)
        gap = jnp.mean(held_scores) - jnp.mean(scores)
        halves = jnp.mean(held_scores[::2]) - jnp.mean(held_scores[1::2])
        held_out_loss = judge.classifier_loss(
            classifier, variables, generated, held_out, settings.penalty
        )

        (variables, moments), losses = lax.scan(
            lambda carry, starts: classifier_step(carry, starts, generated, reference),
            (variables, moments),
            chosen.T,
        )

        # In equilibrium gamma, alpha and m do not change the structure: what single frames
        # contribute to their gradient has mean zero, and is most of its noise.
        cotangents = [
            jax.tree.map(
                lambda a: a[:, plan.carrying] / mesh.size, jax.grad(s, 1)(variables, frames)
            )
            for s in (score_of_motion, score)
        ]
        seen = mean((gap, halves, held_out_loss), mesh)
        return cotangents, (variables, moments, losses[-1], *seen)

    judge_shares = spread(
        judge_share, mesh, (False, False, False, True, True, True), joined=(True, False)
    )

    @jax.jit
    def judge_windows(state: GameState, reference: Reference, frames: Frames, key: Array):
        """The classifier's steps, its score's gradient at the frames, and what was measured."""
        keys = random.split(key)
        held_out = draw(keys[0], reference.held_out, 2 * settings.windows)
        chosen = jax.vmap(lambda k: draw(k, reference.starts, settings.reference_windows))(
            random.split(keys[1], settings.classifier_steps)
        )
        cotangents, judged = judge_shares(
            state.classifier, state.classifier_moments, reference, frames, held_out, chosen.T
        )
        variables, classifier_moments, loss, gap, halves, held_out_loss = judged
        keep = jnp.minimum(MOVING_AVERAGE, 1.0 - 1.0 / (state.update + 1))
        state = state._replace(
            classifier=variables,
            classifier_moments=classifier_moments,
            score_gap=keep * state.score_gap + (1 - keep) * gap,
            noise=keep * state.noise + (1 - keep) * halves**2,
        )
        metrics = {
            "score_gap": gap,
            "score_gap_smoothed": state.score_gap,
            "gap_floor": FLOOR_DEVIATIONS * jnp.sqrt(state.noise),
            "classifier_loss": loss,
            "heldout_loss": held_out_loss,
        }
        return state, cotangents, metrics

    @jax.jit
    def improve(state: GameState, befores, cotangents, rate: Array):
        """The generator moves up the classifier's score."""
        number = state.update + 1
        dynamics = dynamics_of(state.parameters)
        up_dynamics, up_potential = pull_back(
            dynamics, state.parameters["potential"], befores, *cotangents
        )
        smooth = jax.grad(potential.roughness)(state.parameters["potential"])
        down = {
            "potential": jax.tree.map(
                lambda up, r: settings.roughness * r - up, up_potential, smooth
            ),
            # d/d ln x = x d/dx
            "dynamics": {n: -getattr(up_dynamics, n) * getattr(dynamics, n) for n in DYNAMICS},
        }
        steps, moments = adam.update(down, state.moments, state.parameters)
        steps = jax.tree.map(lambda s: rate * s, steps)
        parameters = optax.apply_updates(state.parameters, steps)
        # the mean of the second half: the last values alone still wander about it
        late = jnp.maximum(number - settings.updates // 2, 1)
        keep = 1.0 - 1.0 / late
        averaged = jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, state.averaged, parameters)
        metrics = {
            "gradient_norm": optax.tree.norm(down),
            "roughness": potential.roughness(state.parameters["potential"]),
            # of a site on average, where there are several types
            "gamma": jnp.mean(per_site(dynamics.gamma, plan.form.types)),
            "alpha": dynamics.alpha,
            "mass_amu": jnp.mean(per_site(dynamics.mass, plan.form.types)),
        }
        state = state._replace(
            parameters=parameters, averaged=averaged, moments=moments, update=number
        )
        return state, metrics

    def update(state: GameState, reference: Reference, rate: Array):
        # on several devices, and compiled for them once: the arrays' places are part of a program
        replicas = placed(state.replicas, mesh, split=True)
        state = placed(state._replace(replicas=()), mesh, split=False)._replace(replicas=replicas)
        key, drawn, fresh = random.split(state.key, 3)
        if settings.renewal:
            renewed = renew(state, reference, fresh)
            state = state._replace(replicas=placed(renewed, mesh, split=True))
        replicas, frames, befores = simulate(state)
        judged, cotangents, seen = judge_windows(state, reference, frames, drawn)
        improved, done = improve(judged, befores, cotangents, rate)
        return improved._replace(replicas=replicas, key=key), seen | done

    def place(reference: Reference) -> Reference:
        return placed(reference, mesh, split=False)

    return Game(jax.jit(init), update, jax.jit(restart), place)


def _generator_optimiser(
    kind: str, settings: GameSettings, types: int
) -> optax.GradientTransformation:
    """Adam per group of the potential's parameters, `shared_adam` for the dynamics.

    The rates rise over the first updates, while the classifier learns what to look at, and fall on
    the square of a cosine: towards the end nearly as 1/n, so that the noise of single batches,
    which Adam's normalisation keeps as large as the signal, averages out. Gradients are clipped
    per group.
    """

    def group(rate, scale):
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, rate, min(WARM_UP, settings.updates // 4), settings.updates
        )
        return optax.chain(
            optax.clip_by_global_norm(1.0), scale, optax.scale_by_learning_rate(schedule)
        )

    adam = optax.scale_by_adam(b1=0.8, b2=0.99)
    groups = {
        "pair": group(settings.pair_rate, adam),
        "radial": group(settings.radial_rate, adam),
        "network": group(settings.network_rate, adam),
        "dynamics": group(
            settings.dynamics_rate,
            optax.chain(
                identifiable_directions(kind, settings.freeze, types), shared_adam(b1=0.8, b2=0.99)
            ),
        ),
    }

    def labels(parameters):
        return {
            "potential": {name: name for name in parameters["potential"]},
            "dynamics": "dynamics",
        }

    return optax.partition(groups, labels)


def identifiable_directions(
    kind: str, freeze: tuple[str, ...], types: int = 1
) -> optax.GradientTransformation:
    """Precondition the gradient of (ln gamma, ln alpha, ln m) by the metric of what can be seen.

    Trajectories determine u = (ln gamma/alpha, ln m/alpha^2), the second for Langevin dynamics
    only, for every type of site. With J the Jacobian of u, steepest ascent in u is (J^T J)^+ times
    the gradient: a step in alpha for the sake of gamma/alpha takes m along, and the direction that
    changes nothing is not walked at all. Frozen parameters are columns of zeros in J, and stay.
    """
    one, none = np.eye(types), np.zeros((types, types))
    columns = {
        "alpha": np.concatenate([-np.ones((types, 1)), -2 * np.ones((types, 1))]),
        "gamma": np.concatenate([one, none]),
        "mass": np.concatenate([none, one]),
    }
    jacobian = np.concatenate([0 * columns[n] if n in freeze else columns[n] for n in columns], 1)
    jacobian = jacobian[: (2 if kind == "ld" else 1) * types]
    metric = jnp.asarray(np.linalg.pinv(jacobian.T @ jacobian), jnp.float32)

    def update(gradient, state, parameters=None):
        # the leaves of a dictionary come in the order of its sorted keys, that of `columns`
        vector, restore = ravel_pytree(gradient)
        return restore(metric @ vector), state

    return optax.GradientTransformation(lambda parameters: optax.EmptyState(), update)


class SharedAdamState(NamedTuple):
    count: Array
    mean: optax.Updates
    square: Array


def shared_adam(b1: float, b2: float) -> optax.GradientTransformation:
    """Adam with one second moment for all parameters: the steps keep the gradient's direction.

    ln gamma, ln alpha and ln m have no scales of their own that would need equalising. Plain Adam
    would move the one that the windows say nothing about as fast as the others, on noise alone.
    """

    def init(parameters):
        zeros = jax.tree.map(jnp.zeros_like, parameters)
        return SharedAdamState(jnp.int32(0), zeros, jnp.float32(0.0))

    def update(gradient, state, parameters=None):
        count = state.count + 1
        mean = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mean, gradient)
        square = b2 * state.square + (1 - b2) * optax.tree.norm(gradient) ** 2
        scale = jnp.sqrt(square / (1 - b2**count)) + 1e-12
        step = jax.tree.map(lambda m: m / (1 - b1**count) / scale, mean)
        return step, SharedAdamState(count, mean, square)

    return optax.GradientTransformation(init, update)


def identifiable(kind: str, kT: float, gamma: float, alpha: float, mass: float) -> dict[str, float]:
    """The combinations that trajectories determine: D0 (nm^2/ps), gamma/alpha, and m/alpha^2, NaN
    for Brownian dynamics."""
    return {
        "d0_nm2_per_ps": kT * alpha / gamma,
        "gamma_over_alpha": gamma / alpha,
        "mass_over_alpha2": mass / alpha**2 if kind == "ld" else np.nan,
    }
