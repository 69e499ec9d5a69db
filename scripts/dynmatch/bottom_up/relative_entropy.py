r"""Structural start: the potential whose equilibrium structure is that of the reference.

Relative-entropy minimisation (Shell 2008, doi:10.1063/1.2992060) with respect to the parameters:

    dS/dtheta = beta ( <dU/dtheta>_AA - <dU/dtheta>_CG )

The coarse-grained average is over persistent Langevin replicas that follow the changing potential.

Steps are those of the natural gradient. The Hessian of S is beta^2 Cov(dU/dtheta), but for a term
that is zero for a linear potential at the end (A. Chaimovich and M. S. Shell, J. Chem. Phys. 134,
094112 (2011), doi:10.1063/1.3557038). Coefficients of pairs and triplets are strongly correlated:
its eigenvalues span four orders of magnitude, and a rate for each leaves the angles behind.

Of fewer frames than coefficients the Hessian is singular, and of few more it is much too small
along some directions, which are those that a step of Newton makes most of. How far to go along a
step is therefore asked of frames that the Hessian has not seen, and none is taken
before it is of twice as many frames as coefficients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax.flatten_util import ravel_pytree

from dynmatch.bottom_up.descent import descend
from dynmatch.dynamics import rollout
from dynmatch.dynamics.langevin import Equation as Langevin
from dynmatch.errors import DynmatchError
from dynmatch.potentials.sum import Potential
from dynmatch.sites.box import hashable, heights, minimum_image, volume
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.windows import Windows

TIME_STEP = 0.01
STEPS_BETWEEN_UPDATES = 20
COLLISION_RATE = 5.0
"""Langevin collision rate of the replicas, 1/ps: low, because only their structure matters."""
FRAMES_PER_UPDATE = 32
MARGIN = 1.6
"""For neighbours of a site, over the most in the reference: the first potential is rough."""
DAMPING = 1e-4
"""Of the Hessian, relative to its mean eigenvalue."""
MEMORY = 0.98
"""Weight of the past in the Hessian, at most; more where there are more than 640 coefficients."""
FRAMES_PER_COEFFICIENT = (2, 5)
"""In the Hessian, before the first update and after many of them, at least. Newton's step is worst
where there are as many frames as coefficients; of five times as many it is right to a fifth."""
WARM_UP = 15
"""Updates over which the rate rises."""
RUN_AWAY = (3.0, 0.1)
"""Error of g(r), over the least so far and by itself, that none has that still descends."""


def minimise(
    potential: Potential,
    parameters: dict,
    topology: SiteTopology,
    data: Windows,
    mass: np.ndarray,
    seed: int,
    *,
    updates: int,
    replicas: int,
    rate: float,
    roughness: float,
    report: Callable[[dict], None],
) -> dict:
    """Parameters after `updates` steps; `report` gets rows of start.csv, see `descent.descend`.

    mass  (T,) of a site of each type, amu
    rate  the part of Newton's step that an update goes, at its highest

    Raises DynmatchError when a replica explodes, or the structure goes away from the reference.
    """
    descent = Descent.of(potential, topology, data, mass, roughness)
    pool, drawn = data.trajectory.positions, np.random.default_rng(seed)
    positions = jnp.asarray(pool[drawn.choice(data.starts, replicas)], jnp.float32)
    states = descent.begin(random.split(random.PRNGKey(seed), replicas), parameters, positions)
    target = _pair_histogram(data.some_frames(400), data.box, topology)
    seen, errors = [], []

    def advance(parameters, hessian, states, rate):
        reference = jnp.asarray(pool[drawn.choice(data.starts, FRAMES_PER_UPDATE)], jnp.float32)
        return descent.advance(parameters, hessian, states, reference, jnp.float32(rate))

    def update(number, parameters, carried):
        now = rate * rate_at(number, updates)
        parameters, hessian, states, norm = advance(parameters, *carried, now)
        seen.append(np.asarray(states.position))
        return parameters, (hessian, states), norm

    def measure(number, norm):
        if not np.isfinite(norm):
            raise DynmatchError(
                f"the relative-entropy minimisation broke down before update {number}: a "
                "replica exploded or a neighbour list overflowed; lower training.start.rate"
            )
        latest = np.concatenate(seen)
        seen.clear()
        error = np.abs(_pair_histogram(latest, data.box, topology) - target).mean()
        errors.append(float(error))
        require_descent(errors, number)
        return {"rdf_error": errors[-1]}

    size = ravel_pytree(parameters)[0].size
    hessian = Hessian.start(size)
    for _ in range(looks(size)):
        _, hessian, states, _ = advance(parameters, hessian, states, 0.0)
    return descend(update, parameters, (hessian, states), updates, report, measure)


def looks(size: int) -> int:
    """Updates without a step, before the first, for the Hessian of so many coefficients."""
    return -(-FRAMES_PER_COEFFICIENT[0] * size // FRAMES_PER_UPDATE)


def require_descent(errors: Sequence[float], number: int) -> None:
    """Raise DynmatchError where the last of the errors of g(r) shows a run-away."""
    least, last = min(errors), errors[-1]
    if last > max(RUN_AWAY[0] * least, RUN_AWAY[1]):
        raise DynmatchError(
            f"the relative-entropy minimisation ran away: its error of g(r) was {least:.2g}, and "
            f"is {last:.2g} after update {number}; lower training.start.rate, take more "
            "training.start.replicas, or a potential of fewer coefficients"
        )


def rate_at(number: int, updates: int) -> float:
    """Of update `number`, over the highest: it rises, and falls on the square of a cosine."""
    return min(1.0, number / WARM_UP) * np.cos(0.5 * np.pi * number / (updates + 1)) ** 2


class Hessian(NamedTuple):
    """The number of updates, and the running mean of beta^2 Cov(dU/dtheta), (P, P)."""

    count: Array
    covariance: Array

    @classmethod
    def start(cls, size: int) -> "Hessian":
        return cls(jnp.int32(0), jnp.zeros((size, size), jnp.float32))

    def after(self, slopes: Array) -> "Hessian":
        """With the slopes (F, P) of the energies of more frames, in kB T."""
        frames, size = slopes.shape
        count = self.count + 1
        # the mean of weights (1 - k) k^j is of (1 + k)/(1 - k) updates
        memory = max(MEMORY, 1 - 2 * frames / (FRAMES_PER_COEFFICIENT[1] * size))
        keep = jnp.minimum(memory, 1 - 1 / count)
        deviations = slopes - jnp.mean(slopes, 0)
        covariance = deviations.T @ deviations / (frames - 1)
        return Hessian(count, keep * self.covariance + (1 - keep) * covariance)

    def step(self, gradient: Array, rate: Array, known: Array, generated: Array) -> Array:
        """`rate` of the way (P,) to the minimum along Newton's step, or less; none while there is
        no Hessian.

        Along a step d the entropy is a parabola of slope d.g and curvature Var(d.dU/dtheta). The
        variance is that over slopes (F, P) of frames of the reference that are not in the Hessian.
        Nor does a step go beyond the minimum by frames of the model, which may be where the
        reference is not. The way is not longer than one standard deviation of the energy for each
        parameter: there the expansion that it is from ends.
        """
        size = len(gradient)
        damping = DAMPING * jnp.trace(self.covariance) / size + 1e-12
        step = -jnp.linalg.solve(self.covariance + damping * jnp.eye(size), gradient)
        slope = jnp.abs(jnp.dot(step, gradient))
        part = rate * jnp.minimum(1.0, slope / jnp.var(known @ step))
        part = part / jnp.maximum(1.0, jnp.sqrt(slope / size))
        part = jnp.minimum(part, slope / jnp.var(generated @ step))
        return jnp.where(self.count > 0, part * step, 0.0)


@dataclass(frozen=True, eq=False)
class Descent:
    """The steps of a minimisation.

    plan       how the replicas move between two updates
    values     of their dynamics
    roughness  weight of that of the potential
    """

    plan: rollout.RolloutPlan
    values: dict[str, Array]
    roughness: float

    @classmethod
    def of(
        cls,
        potential: Potential,
        topology: SiteTopology,
        data: Windows,
        mass: np.ndarray,
        roughness: float,
    ) -> "Descent":
        """See `minimise`."""
        plan = rollout.RolloutPlan(
            equation=Langevin(TIME_STEP),
            potential=potential,
            topology=topology,
            kT=potential.thermal_energy,
            box=hashable(data.box),
            lag_steps=(STEPS_BETWEEN_UPDATES,),
        )
        values = {
            "gamma": jnp.asarray(COLLISION_RATE * mass, jnp.float32),
            "alpha": jnp.float32(1.0),
            "mass": jnp.asarray(mass, jnp.float32),
        }
        plan = rollout.with_capacity(plan, data.some_frames(100), MARGIN)
        return cls(plan, values, roughness)

    def begin(self, keys: Array, parameters: dict, positions: Array):
        """States of replicas at positions (replicas, N, 3), nm."""
        tables = self.plan.potential.tabulate(parameters)
        start = jax.jit(rollout.start, static_argnums=0)
        return start(self.plan, self.values, tables, keys, positions)

    @partial(jax.jit, static_argnums=0)
    def advance(
        self, parameters: dict, hessian: Hessian, states: Any, reference: Array, rate: Array
    ):
        """Parameters, Hessian and states after one update, with frames (F, N, 3), nm, of the
        `reference`; and the norm of the gradient."""
        tables = self.plan.potential.tabulate(parameters)
        states, frames = rollout.simulate_windows(self.plan, self.values, tables, states)
        known = self.slopes(parameters, reference)
        generated = self.slopes(parameters, frames.positions[:, -1])
        gradient = self.gradient(parameters, known, generated)
        flat, shaped = ravel_pytree(parameters)
        moved = shaped(flat + hessian.step(gradient, rate, known, generated))
        return moved, hessian.after(known), states, jnp.linalg.norm(gradient)

    def gradient(self, parameters: dict, known: Array, generated: Array) -> Array:
        """(P,) of the relative entropy, from the slopes (F, P) of the reference and of the model,
        and of the penalty on roughness."""
        entropy = jnp.mean(known, 0) - jnp.mean(generated, 0)
        smooth, _ = ravel_pytree(jax.grad(self.plan.potential.roughness)(parameters))
        return entropy + self.roughness * smooth

    def slopes(self, parameters: dict, positions: Array) -> Array:
        """(F, P) of the energies of frames (F, N, 3), nm, in kB T, with the parameters."""
        plan, box = self.plan, jnp.asarray(self.plan.box, jnp.float32)

        def energy(parameters, x):
            tables = plan.potential.tabulate(parameters)
            neighbours, fault = rollout.neighbours_of(plan, x)
            return plan.potential.energy(tables, x, box, plan.topology, neighbours) + fault

        def slope(x):
            return ravel_pytree(jax.grad(energy)(parameters, x))[0] / plan.kT

        return lax.map(slope, positions)


def _pair_histogram(
    positions: np.ndarray, box: np.ndarray, topology: SiteTopology, bins: int = 100
) -> np.ndarray:
    """g(r) of frames (F, N, 3) up to half the box on `bins` bins, without linked sites."""
    counted = np.triu(np.ones((positions.shape[1],) * 2, bool), 1)
    counted[tuple(topology.linked.T)] = False
    i, j = np.nonzero(counted)
    edges = np.linspace(0.0, 0.5 * heights(box).min(), bins + 1)
    counts = np.zeros(bins)
    for frame in positions:
        d = frame[i] - frame[j]
        d[...] = minimum_image(d, box)
        counts += np.histogram(np.sqrt(np.sum(d * d, -1)), edges)[0]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return counts * volume(box) / (len(positions) * len(i) * shells)
