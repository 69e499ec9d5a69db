r"""Dynamics matching: the minimax game between a generator of trajectories and a classifier.

    theta* = argmax_theta { min_phi [ <f_phi(R_0:T)>_Q(theta) - <f_phi(M(r_0:T))>_P ] }

(Wang & Voth, arXiv:2504.06505). P are windows of the projected all-atom trajectory, Q windows of
the coarse-grained model; theta = potential and dynamics. One update:

1. W persistent replicas of the model are continued over one window each; where the populations of
   metastable states would otherwise be those of the first draw for the whole training, some are
   taken from the reference anew;
2. the classifier takes a few steps on these windows against fresh reference windows;
3. the gradient of the classifier's score is pulled back through the same windows, and theta
   moves up the score.

Pure functions on a frozen `GameState`; the loop that times, reports and checkpoints is in `play`.
"""

import math
from dataclasses import dataclass
from functools import cached_property, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random

from dynmatch.dynamics import rollout
from dynmatch.dynamics.rollout import Frames, RolloutPlan
from dynmatch.runtime.sharding import devices_for, mean, placed, spread, total
from dynmatch.settings import TrainingSettings
from dynmatch.training.classifiers.base import Form, Scale, classifier_loss, standardise
from dynmatch.training.optimiser import generator_optimiser
from dynmatch.training.state import GameState, Reference, reference_windows

MOVING_AVERAGE = 0.95
"""Of the score gap and its noise, per update."""
FLOOR_DEVIATIONS = 2.0
"""The floor of the score gap in standard deviations of the gap between two halves of held-out
reference windows: below it, a batch of the model is not told from one of the reference."""


@dataclass(frozen=True, eq=False)
class Game:
    """The game of one training.

    plan       how windows of the model are simulated
    form       the classifier's fixed part
    settings   of the training
    freeze     names of values of the dynamics that are kept as they are
    scale      standardisation of the classifier's features
    """

    plan: RolloutPlan
    form: Form
    settings: TrainingSettings
    freeze: tuple[str, ...]
    scale: Scale

    @cached_property
    def _box(self) -> np.ndarray:
        return np.asarray(self.plan.box, np.float32)

    @cached_property
    def _network(self) -> nn.Module:
        return self.form.network()

    @cached_property
    def _classifier_optimiser(self) -> optax.GradientTransformation:
        return optax.adam(self.settings.classifier.rate, b1=0.0, b2=0.99)

    @cached_property
    def _optimiser(self) -> optax.GradientTransformation:
        plan, settings = self.plan, self.settings
        return generator_optimiser(
            plan.equation, plan.potential, settings.rates, settings.updates, self.freeze
        )

    @cached_property
    def _mesh(self):
        return devices_for(math.gcd(self.settings.windows, self.settings.aa_windows))

    @partial(jax.jit, static_argnums=0)
    def init(self, key: Array, parameters: dict, reference: Reference) -> GameState:
        """The state before the first update."""
        key, first, weights = random.split(key, 3)
        some = self._windows_at(reference, _drawn(first, reference.starts, 2))
        variables = self._network.init(weights, some)
        return GameState(
            parameters=parameters,
            averaged=parameters,
            moments=self._optimiser.init(parameters),
            classifier=variables,
            classifier_moments=self._classifier_optimiser.init(variables),
            replicas=self._fresh_replicas(first, parameters, reference),
            key=key,
            update=jnp.int32(0),
            score_gap=jnp.float32(0.0),
            noise=jnp.float32(0.0),
        )

    @partial(jax.jit, static_argnums=0)
    def restart(self, key: Array, state: GameState, reference: Reference) -> GameState:
        """The state with fresh replicas, from frames of the reference."""
        key, fresh = random.split(key)
        replicas = self._fresh_replicas(fresh, state.parameters, reference)
        return state._replace(replicas=replicas, key=key)

    def place(self, reference: Reference) -> Reference:
        """The reference on all devices of the game, which else is moved every update."""
        return placed(reference, self._mesh, split=False)

    def update(
        self, state: GameState, reference: Reference, rate: Array
    ) -> tuple[GameState, dict[str, Array]]:
        """The next state, and scalars for history.csv; `rate` scales all rates of the generator."""
        # on several devices, and compiled for them once: the arrays' places are part of a program
        replicas = placed(state.replicas, self._mesh, split=True)
        state = placed(state._replace(replicas=()), self._mesh, split=False)
        state = state._replace(replicas=replicas)
        key, drawn, fresh = random.split(state.key, 3)
        if self.settings.renewal:
            renewed = self.renew(state, reference, fresh)
            state = state._replace(replicas=placed(renewed, self._mesh, split=True))
        replicas, frames, befores = self.simulate(state)
        judged, cotangents, seen = self.judge(state, reference, frames, drawn)
        improved, done = self.improve(judged, befores, cotangents, rate)
        return improved._replace(replicas=replicas, key=key), seen | done

    # three programs instead of one: compiling takes memory in proportion to a program's size
    @partial(jax.jit, static_argnums=0)
    def renew(self, state: GameState, reference: Reference, key: Array):
        """The replicas, each with probability `renewal` from a frame of the reference."""
        choice, fresh = random.split(key)
        new = random.bernoulli(choice, self.settings.renewal, (self.settings.windows,))
        drawn = self._fresh_replicas(fresh, state.parameters, reference)

        def chosen(a, b):
            return jnp.where(new.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)

        return jax.tree.map(chosen, drawn, state.replicas)

    @partial(jax.jit, static_argnums=0)
    def simulate(self, state: GameState):
        """The replicas after a window, its `Frames`, and the states the gradient starts from."""
        roll_out = partial(rollout.simulate_windows, self.plan)
        shared = spread(roll_out, self._mesh, (False, False, True))
        tables = self.plan.potential.tabulate(state.parameters["potential"])
        return shared(_values(state.parameters), tables, state.replicas)

    @partial(jax.jit, static_argnums=0)
    def judge(self, state: GameState, reference: Reference, frames: Frames, key: Array):
        """The classifier's steps, its score's gradient at the frames, and what was measured."""
        settings = self.settings
        keys = random.split(key)
        held_out = _drawn(keys[0], reference.held_out, 2 * settings.windows)
        chosen = jax.vmap(lambda k: _drawn(k, reference.starts, settings.aa_windows))(
            random.split(keys[1], settings.classifier.steps)
        )
        shares = spread(
            self._judge_share,
            self._mesh,
            (False, False, False, True, True, True),
            joined=(True, False),
        )
        cotangents, judged = shares(
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

    def _judge_share(
        self, variables, moments, reference: Reference, frames: Frames, held_out, chosen
    ):
        """`judge` on one device, of its share of the windows.

        held_out (2 W,) and chosen (A, steps) are grid indices at which windows start.
        """
        penalty = self.settings.classifier.penalty
        # measured before the classifier has seen these windows
        generated = self._features(frames)
        scores = jnp.mean(self._network.apply(variables, generated), -1)
        held_out = self._windows_at(reference, held_out)
        held_scores = jnp.mean(self._network.apply(variables, held_out), -1)
        gap = jnp.mean(held_scores) - jnp.mean(scores)
        halves = jnp.mean(held_scores[::2]) - jnp.mean(held_scores[1::2])
        held_out_loss = classifier_loss(self._network, variables, generated, held_out, penalty)

        (variables, moments), losses = lax.scan(
            lambda carry, starts: self._classifier_step(carry, starts, generated, reference),
            (variables, moments),
            chosen.T,
        )

        # In equilibrium the dynamics does not change the structure: what single frames contribute
        # to its gradient has mean zero, and is most of its noise.
        cotangents = [
            jax.tree.map(
                lambda a: a[:, self.plan.carrying] / self._mesh.size,
                jax.grad(score, 1)(variables, frames),
            )
            for score in (self._score_of_motion, self._score)
        ]
        seen = mean((gap, halves, held_out_loss), self._mesh)
        return cotangents, (variables, moments, losses[-1], *seen)

    def _classifier_step(self, carry, chosen, generated, reference: Reference):
        variables, moments = carry
        batch = self._windows_at(reference, chosen)
        penalty = self.settings.classifier.penalty
        found = jax.value_and_grad(
            lambda v: classifier_loss(self._network, v, generated, batch, penalty)
        )(variables)
        loss, gradient = mean(found, self._mesh)
        steps, moments = self._classifier_optimiser.update(gradient, moments, variables)
        return (optax.apply_updates(variables, steps), moments), loss

    @partial(jax.jit, static_argnums=0)
    def improve(self, state: GameState, befores, cotangents, rate: Array):
        """The generator moves up the classifier's score."""
        number = state.update + 1
        potential = self.plan.potential
        values = _values(state.parameters)
        up_values, up_potential = self._pull_back(
            values, state.parameters["potential"], befores, *cotangents
        )
        smooth = jax.grad(potential.roughness)(state.parameters["potential"])
        down = {
            "potential": jax.tree.map(
                lambda up, r: self.settings.roughness * r - up, up_potential, smooth
            ),
            # d/d ln x = x d/dx
            "dynamics": {name: -up_values[name] * value for name, value in values.items()},
        }
        steps, moments = self._optimiser.update(down, state.moments, state.parameters)
        steps = jax.tree.map(lambda s: rate * s, steps)
        parameters = optax.apply_updates(state.parameters, steps)
        # the mean of the second half: the last values alone still wander about it
        late = jnp.maximum(number - self.settings.updates // 2, 1)
        keep = 1.0 - 1.0 / late
        averaged = jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, state.averaged, parameters)
        metrics = {
            "gradient_norm": optax.tree.norm(down),
            "roughness": potential.roughness(state.parameters["potential"]),
        } | self._mean_values(values)
        state = state._replace(
            parameters=parameters, averaged=averaged, moments=moments, update=number
        )
        return state, metrics

    def _pull_back(self, *arguments):
        def of_windows(values, parameters, *windows):
            pulled = rollout.pull_back(
                self.plan, values, self.plan.potential.tabulate, parameters, *windows
            )
            return total(pulled, self._mesh)

        split = (False, False, True, True, True)
        return spread(of_windows, self._mesh, split, joined=False)(*arguments)

    def _mean_values(self, values: dict[str, Array]) -> dict[str, Array]:
        """Values of a site on average, by column."""
        types = jnp.asarray(self.plan.types)
        return {
            each.column: jnp.mean(values[name][types] if each.of_type else values[name])
            for name, each in self.plan.equation.parameters.items()
        }

    def _fresh_replicas(self, key: Array, parameters: dict, reference: Reference):
        first, noise = random.split(key)
        count = self.settings.windows
        chosen = random.randint(first, (count,), 0, reference.starts.shape[0])
        return rollout.start(
            self.plan,
            _values(parameters),
            self.plan.potential.tabulate(parameters["potential"]),
            random.split(noise, count),
            reference.positions[reference.starts[chosen]],
        )

    def _features(self, frames: Frames):
        return standardise(self.scale, self.form.windows_features(*frames, self._box))

    def _windows_at(self, reference: Reference, chosen: Array):
        windows = reference_windows(self.form, reference, chosen, self._box)
        return standardise(self.scale, windows)

    def _score(self, variables: dict, frames: Frames) -> Array:
        return jnp.mean(self._network.apply(variables, self._features(frames)))

    def _score_of_motion(self, variables: dict, frames: Frames) -> Array:
        """The score as a function of the displacements alone, the structure held fixed."""
        held = lax.stop_gradient(frames.positions)
        return self._score(variables, frames._replace(positions=held))


def _values(parameters: dict) -> dict[str, Array]:
    """Positive values of the dynamics from their learned logarithms."""
    return {name: jnp.exp(value) for name, value in parameters["dynamics"].items()}


def _drawn(key: Array, starts: Array, count: int) -> Array:
    return starts[random.randint(key, (count,), 0, starts.shape[0])]
