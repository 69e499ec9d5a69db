r"""Dynamics matching: the minimax game between a generator of trajectories and a classifier.

    theta* = argmax_theta { min_phi [ <f_phi(R_0:T)>_Q(theta) - <f_phi(M(r_0:T))>_P ] }

(Wang & Voth, arXiv:2504.06505). P are windows of the projected all-atom trajectory, Q windows of
the coarse-grained model; theta = potential and dynamics. One update:

1. W persistent replicas of the model are continued over one window each; where the populations of
   metastable states would otherwise be those of the first draw for the whole training, some are
   taken from the reference anew;
2. the classifier scores them, before it has seen them;
3. its network takes a few steps on these windows against windows of the reference;
4. theta moves up the classifier's score.

The classifier is a network, and a part that is quadratic in displacements, whose optimum is known
(`classifiers.quadratic`). Neither judges what it was fitted to: a network that has taken its steps
on the very windows it scores has learned their noise, pulls towards less of it, and left
displacements 3 to 4 % too short.

For the dynamics, the gradient of the score flows along the windows: its derivative with respect to
the motion, times the tangents that the roll-out has carried. The structure is held fixed in it:
in equilibrium the dynamics does not change it, and what single frames contribute has mean zero.

For the potential, the gradient is that of the equilibrium ensemble,

    d<s>/dtheta = - Cov(s, dU/dtheta) / kB T,

exact for the score s of structures: s(x) is the score of a window with this structure and the
motion of another window. Nothing flows back through a trajectory, which is chaotic.

Pure functions on a `GameState`; the loop that times, reports and checkpoints is in `play`.
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
from dynmatch.runtime.sharding import devices_for, mean, placed, rolled, spread
from dynmatch.settings import TrainingSettings
from dynmatch.sites.windows import Batch
from dynmatch.training.classifiers import quadratic
from dynmatch.training.classifiers.base import (
    Features,
    Form,
    Standard,
    classifier_loss,
    joined,
    standard_motion,
    standard_of,
)
from dynmatch.training.convergence import MSD_OFF
from dynmatch.training.optimiser import (
    NaturalState,
    Response,
    changes_of_values,
    natural_step,
    potential_optimiser,
    rate_of,
)
from dynmatch.training.state import Drawn, GameState

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
    standard   of the classifier's features
    """

    plan: RolloutPlan
    form: Form
    settings: TrainingSettings
    freeze: tuple[str, ...]
    standard: Standard

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
        settings = self.settings
        return potential_optimiser(self.plan.potential, settings.rates, settings.updates)

    @cached_property
    def _mesh(self):
        return devices_for(math.gcd(self.settings.windows, self.settings.aa_windows))

    @partial(jax.jit, static_argnums=0)
    def init(self, key: Array, parameters: dict, drawn: Drawn) -> GameState:
        """The state before the first update."""
        key, first, weights = random.split(key, 3)
        some = jax.tree.map(lambda a: a[:2], drawn.reference)
        variables = self._network.init(weights, self._features(some))
        return GameState(
            parameters=parameters,
            averaged=parameters,
            moments=self._optimiser.init(parameters["potential"]),
            natural=NaturalState.start(
                sum(parameters["dynamics"][name].size for name in self.plan.learned), self.standard
            ),
            classifier=variables,
            classifier_moments=self._classifier_optimiser.init(variables),
            replicas=self._fresh_replicas(first, parameters, drawn),
            key=key,
            update=jnp.int32(0),
            score_gap=jnp.float32(0.0),
            noise=jnp.float32(0.0),
        )

    @partial(jax.jit, static_argnums=0)
    def restart(self, key: Array, state: GameState, drawn: Drawn) -> GameState:
        """The state with fresh replicas, from frames of the reference."""
        key, fresh = random.split(key)
        replicas = self._fresh_replicas(fresh, state.parameters, drawn)
        return state._replace(replicas=replicas, key=key)

    def update(
        self, state: GameState, drawn: Drawn, rate: Array
    ) -> tuple[GameState, dict[str, Array]]:
        """The next state, and scalars for history.csv; `rate` scales all rates of the generator."""
        # on several devices, and compiled for them once: the arrays' places are part of a program
        drawn = placed(drawn, self._mesh, split=True)
        replicas = placed(state.replicas, self._mesh, split=True)
        state = placed(state._replace(replicas=()), self._mesh, split=False)
        state = state._replace(replicas=replicas)
        key, fresh = random.split(state.key)
        if self.settings.renewal:
            renewed = self.renew(state, drawn, fresh)
            state = state._replace(replicas=placed(renewed, self._mesh, split=True))
        replicas, frames = self.simulate(state)
        judged, found, seen = self.judge(state, drawn, frames)
        improved, done = self.improve(judged, frames, *found, rate)
        return improved._replace(replicas=replicas, key=key), seen | done

    # several programs instead of one: compiling takes memory in proportion to a program's size
    @partial(jax.jit, static_argnums=0)
    def renew(self, state: GameState, drawn: Drawn, key: Array):
        """The replicas, each with probability `renewal` from a frame of the reference."""
        choice, fresh = random.split(key)
        new = random.bernoulli(choice, self.settings.renewal, (self.settings.windows,))
        others = self._fresh_replicas(fresh, state.parameters, drawn)

        def chosen(a, b):
            return jnp.where(new.reshape((-1,) + (1,) * (a.ndim - 1)), a, b)

        return jax.tree.map(chosen, others, state.replicas)

    @partial(jax.jit, static_argnums=0)
    def simulate(self, state: GameState):
        """The replicas after a window, and its `Frames`."""
        roll_out = partial(rollout.simulate_windows, self.plan)
        shared = spread(roll_out, self._mesh, (False, False, True))
        tables = self.plan.potential.tabulate(state.parameters["potential"])
        return shared(_values(state.parameters), tables, state.replicas)

    @partial(jax.jit, static_argnums=0)
    def judge(self, state: GameState, drawn: Drawn, frames: Frames):
        """The gradient of the classifier's score with respect to the means (W, T, N, 3) and its
        scores of the structures (W,); the steps of its network; and what was measured."""
        shares = spread(
            self._judge_share,
            self._mesh,
            (False, False, True, True, True),
            joined=(True, False),
        )
        found, judged = shares(
            state.classifier, state.classifier_moments, drawn.reference, drawn.held_out, frames
        )
        variables, classifier_moments, loss, gap, halves, held_out_loss, *squares = judged
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
        } | self._msd_off(*squares)
        return state, found, metrics

    def _judge_share(self, variables, moments, reference: Batch, held_out: Batch, frames: Frames):
        """`judge` on one device, of its share of the windows."""
        structure, motion = self._parts(frames)
        generated = self._join(structure, motion)
        known_structure, known_motion = self._parts(reference)
        known, unseen = self._join(known_structure, known_motion), self._features(held_out)

        # measured before the classifier has seen these windows
        scores = jnp.mean(self._network.apply(variables, generated), -1)
        held_scores = jnp.mean(self._network.apply(variables, unseen), -1)
        gap = jnp.mean(held_scores) - jnp.mean(scores)
        halves = jnp.mean(held_scores[::2]) - jnp.mean(held_scores[1::2])
        penalty = self.settings.classifier.penalty
        held_out_loss = classifier_loss(self._network, variables, generated, unseen, penalty)
        answers = self._quadratic_answers(motion, known_motion)

        def score(means):
            moved = self._motion(means)
            of_network = self._network.apply(variables, self._join(structure, moved))
            of_vectors = quadratic.scores(answers, self._vectors(moved), self.form.types())
            return (jnp.mean(of_network) + jnp.mean(of_vectors)) / self._mesh.size

        other = rolled(motion, self._mesh)
        of_structures = jnp.mean(self._network.apply(variables, self._join(structure, other)), -1)
        found = jax.grad(score)(frames.means), of_structures

        def step(carry, _):
            variables, moments = carry
            found = jax.value_and_grad(
                lambda v: classifier_loss(self._network, v, generated, known, penalty)
            )(variables)
            loss, gradient = mean(found, self._mesh)
            steps, moments = self._classifier_optimiser.update(gradient, moments, variables)
            return (optax.apply_updates(variables, steps), moments), loss

        (variables, moments), losses = lax.scan(
            step, (variables, moments), None, length=self.settings.classifier.steps
        )

        squares = self._squares(frames.means), self._squares(reference.means)
        seen = mean((gap, halves, held_out_loss, *squares), self._mesh)
        return found, (variables, moments, losses[-1], *seen)

    @partial(jax.jit, static_argnums=0)
    def improve(
        self, state: GameState, frames: Frames, cotangents: Array, scores: Array, rate: Array
    ):
        """The generator moves up the classifier's score."""
        number = state.update + 1
        potential, parameters = self.plan.potential, state.parameters
        up = self._by_covariance(parameters["potential"], frames, scores)
        smooth = jax.grad(potential.roughness)(parameters["potential"])
        down = jax.tree.map(lambda up, r: self.settings.roughness * r - up, up, smooth)
        steps, moments = self._optimiser.update(down, state.moments, parameters["potential"])
        moved = {
            "potential": jax.tree.map(lambda x, s: x + rate * s, parameters["potential"], steps)
        }
        natural, logs = state.natural, parameters["dynamics"]
        moved["dynamics"] = logs
        if frames.tangents is not None:
            gradient, response = self._along_tangents(frames, cotangents)
            penalty = self.settings.classifier.penalty
            step, natural = natural_step(natural, gradient, response, penalty, state.score_gap)
            changes = self._changes(logs, step)
            size = rate * rate_of(self.settings.rates.dynamics, self.settings.updates)(state.update)
            moved["dynamics"] = self._moved(logs, jax.tree.map(lambda x: size * x, changes))
        # the mean of the second half: the last values alone still wander about it
        late = jnp.maximum(number - self.settings.updates // 2, 1)
        keep = 1.0 - 1.0 / late
        averaged = jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, state.averaged, moved)
        metrics = {
            "gradient_norm": optax.tree.norm(down),
            "roughness": potential.roughness(parameters["potential"]),
        } | self._of_mean_site(_values(parameters))
        state = state._replace(
            parameters=moved, averaged=averaged, moments=moments, natural=natural, update=number
        )
        return state, metrics

    def _along_tangents(self, frames: Frames, cotangents: Array) -> tuple[Array, Response]:
        """The score's gradient (D,) with respect to what is carried, type by type, and the response
        of the motion to it: each type has logarithms of its own."""
        types = jnp.asarray(self.plan.types)
        own = jax.nn.one_hot(types, len(self.plan.potential.names), dtype=frames.means.dtype)
        # (D, W, T, N, 3): those of one value for the sites of one type, the types running fastest
        tangents = jnp.einsum("wptnx,na->pawtnx", frames.tangents, own)
        tangents = tangents.reshape(-1, *frames.means.shape)
        gradient = jnp.einsum("wtnx,dwtnx->d", cotangents, tangents)

        def motion(means):
            return standard_motion(self.standard, self._motion(means), self.form.types())

        features, along = jax.linearize(motion, frames.means)
        changes = jax.vmap(along)(tangents)
        shifts = jnp.mean(changes.rank0, 1)  # (D, N, C)
        spread = jnp.einsum("wnks,dwnkt->dnst", features.rank1, changes.rank1)
        spread = (spread + jnp.swapaxes(spread, -1, -2)) / (3 * len(frames.means))
        seen = jnp.asarray(self.form.types())
        count = self.form.types().max() + 1
        weight = jax.nn.one_hot(seen, count, dtype=spread.dtype) / jnp.bincount(seen, length=count)
        shifts = jnp.einsum("dnc,na->dac", shifts, weight)
        spread = jnp.einsum("dnst,na->dast", spread, weight)
        return gradient, Response(shifts, spread)

    def _changes(self, logs: dict[str, Array], change: Array) -> dict[str, Array]:
        """Of all logarithms, for a `change` (D,) of what is carried; frozen ones stay."""
        place, types = 0, len(self.plan.potential.names)
        changes = {name: jnp.zeros_like(value) for name, value in logs.items()}
        for name in self.plan.learned:
            size = logs[name].size
            # the types run fastest
            own = change[place : place + size].reshape(-1, types).T
            changes[name] = own.reshape(logs[name].shape)
            place += size
        equation = self.plan.equation
        if equation.gauge:
            matrix, names = changes_of_values(equation, self.freeze, types)
            combined = jnp.concatenate([changes[name] for name in self.plan.learned])
            parts = jnp.asarray(matrix, change.dtype) @ combined
            sizes = np.cumsum([logs[name].size for name in names])[:-1]
            pieces = jnp.split(parts, sizes)
            changes |= {n: x.reshape(logs[n].shape) for n, x in zip(names, pieces, strict=True)}
        return {n: jnp.zeros_like(x) if n in self.freeze else x for n, x in changes.items()}

    def _moved(self, logs: dict[str, Array], changes: dict[str, Array]) -> dict[str, Array]:
        """The logarithms after `changes`, none beyond the bounds of its value."""
        moved = {name: value + changes[name] for name, value in logs.items()}
        for name, least in self.plan.equation.least.items():
            moved[name] = jnp.maximum(moved[name], math.log(least))
        for name, most in self.plan.equation.most.items():
            moved[name] = jnp.minimum(moved[name], math.log(most))
        return moved

    def _quadratic_answers(self, motion: Features, reference: Features) -> Array:
        """(W, T, V, V): the best quadratic answer to the other windows of the model, for each."""
        types = self.form.types()
        own = quadratic.covariances(self._vectors(motion), types)
        known = quadratic.covariances(self._vectors(reference), types)
        everyone, known = mean((jnp.mean(own, 0), jnp.mean(known, 0)), self._mesh)
        others = quadratic.others(own, everyone, self.settings.windows)
        return quadratic.answer(others, known, self.settings.classifier.penalty)

    def _vectors(self, motion: Features) -> Array:
        """(W, N, 3, V), whitened."""
        return standard_motion(self.standard, motion, self.form.types()).rank1

    def _squares(self, means: Array) -> Array:
        """(K, S) nm^2: mean over windows (W, ...) of `Form.squares`."""
        return jnp.mean(jax.vmap(lambda x: self.form.squares(x, self._box))(means), 0)

    def _msd_off(self, squares: Array, reference: Array) -> dict[str, Array]:
        """What mean square displacements (K, S) are off, relative to the reference's, by column:
        those of windows with several equal lags are one."""
        names = self.plan.topology.type_names
        of = [f"{name}_" for name in names] if len(squares) > 1 else [""]
        found = {}
        for steps in sorted(set(self.plan.lag_steps)):
            own = np.flatnonzero(np.array(self.plan.lag_steps) == steps)
            ratios = jnp.sum(squares[:, own], 1) / jnp.sum(reference[:, own], 1)
            lag = f"{steps * self.plan.equation.time_step:g}ps"
            found |= {f"{MSD_OFF}{o}{lag}": x - 1 for o, x in zip(of, ratios, strict=True)}
        return found

    def _by_covariance(self, parameters: dict, frames: Frames, scores: Array) -> dict:
        """The gradient of the mean of `scores` (W,) with respect to the potential's parameters."""
        plan, box = self.plan, jnp.asarray(self._box)
        weights = (scores - jnp.mean(scores)) / (len(scores) - 1) / plan.kT

        def work(parameters):
            tables = plan.potential.tabulate(parameters)

            def energy(x):
                neighbours, fault = rollout.neighbours_of(plan, x)
                return plan.potential.energy(tables, x, box, plan.topology, neighbours) + fault

            ends = frames.positions[:, jnp.array(sorted({0, frames.positions.shape[1] - 1}))]
            energies = lax.map(jax.vmap(energy), ends, batch_size=min(plan.chunk, len(scores)))
            return -jnp.sum(weights * jnp.sum(energies, 1))

        return jax.grad(work)(parameters)

    def _of_mean_site(self, values: dict[str, Array]) -> dict[str, Array]:
        """Scalar parameters of the mean site, and what trajectories determine of it, by column."""
        types, equation = jnp.asarray(self.plan.types), self.plan.equation
        of_type = {name: each.of_type for name, each in equation.parameters.items()}
        site = {
            name: jnp.mean(value[types], 0, keepdims=True) if of_type[name] else value
            for name, value in values.items()
        }
        scalars = {
            each.column: jnp.squeeze(site[name])
            for name, each in equation.parameters.items()
            if site[name].ndim < 2
        }
        known = equation.identifiable(site, self.plan.kT)
        return scalars | {name: value[0] for name, value in known.items()}

    def _fresh_replicas(self, key: Array, parameters: dict, drawn: Drawn):
        keys = random.split(key, self.settings.windows)
        tables = self.plan.potential.tabulate(parameters["potential"])
        return rollout.start(self.plan, _values(parameters), tables, keys, drawn.starts)

    def _parts(self, windows: Batch | Frames) -> tuple[Features, Features]:
        structure = lax.map(lambda x: self.form.structure(x, self._box), windows.positions)
        return structure, self._motion(windows.means)

    def _motion(self, means: Array) -> Features:
        return jax.vmap(lambda x: self.form.motion(x, self._box))(means)

    def _join(self, structure: Features, motion: Features) -> Features:
        return joined(self.standard, structure, motion, self.form.types())

    def _features(self, windows: Batch | Frames) -> Features:
        return self._join(*self._parts(windows))


def standard_for(form: Form, box: np.ndarray, windows: Batch) -> Standard:
    """The standardisation of the features of `form`, from windows of the reference."""
    box = np.asarray(box, np.float32)

    @jax.jit
    def parts(positions, means):
        structure = lax.map(lambda x: form.structure(x, box), positions)
        return structure, lax.map(lambda x: form.motion(x, box), means)

    return standard_of(*parts(*windows), form.types())


def _values(parameters: dict) -> dict[str, Array]:
    """Positive values of the dynamics from their learned logarithms."""
    return {name: jnp.exp(value) for name, value in parameters["dynamics"].items()}
