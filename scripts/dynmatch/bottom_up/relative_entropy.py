r"""Structural start: the potential whose equilibrium structure is that of the reference.

Relative-entropy minimisation (Shell 2008, doi:10.1063/1.2992060) with respect to the parameters:

    dS/dtheta = beta ( <dU/dtheta>_AA - <dU/dtheta>_CG )

The coarse-grained average is over persistent Langevin replicas that follow the changing potential.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, random

from dynmatch.bottom_up.adam import descend, optimiser
from dynmatch.dynamics import rollout
from dynmatch.dynamics.langevin import Equation as Langevin
from dynmatch.errors import DynmatchError
from dynmatch.potentials.sum import Potential
from dynmatch.settings import StartRates
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
    rates: StartRates,
    roughness: float,
    report: Callable[[dict], None],
) -> dict:
    """Parameters after `updates` steps; `report` gets rows of start.csv, see `adam.descend`.

    `mass` (T,) of a site of each type, amu. Raises DynmatchError when a replica explodes.
    """
    descent = Descent.of(potential, topology, data, mass, rates, updates, roughness)
    pool, drawn = data.trajectory.positions, np.random.default_rng(seed)
    positions = jnp.asarray(pool[drawn.choice(data.starts, replicas)], jnp.float32)
    states = descent.begin(random.split(random.PRNGKey(seed), replicas), parameters, positions)
    target = _pair_histogram(data.some_frames(400), data.box, topology)
    seen = []

    def update(number, parameters, carried):
        moments, states = carried
        reference = jnp.asarray(pool[drawn.choice(data.starts, FRAMES_PER_UPDATE)], jnp.float32)
        parameters, moments, states, norm = descent.advance(parameters, moments, states, reference)
        seen.append(np.asarray(states.position))
        return parameters, (moments, states), norm

    def measure(number, norm):
        if not np.isfinite(norm):
            raise DynmatchError(
                f"the relative-entropy minimisation broke down before update {number}: a "
                "replica exploded or a neighbour list overflowed; lower training.start.rates"
            )
        latest = np.concatenate(seen)
        seen.clear()
        error = np.abs(_pair_histogram(latest, data.box, topology) - target)
        return {"rdf_error": float(np.mean(error))}

    carried = descent.adam.init(parameters), states
    return descend(update, parameters, carried, updates, report, measure)


@dataclass(frozen=True, eq=False)
class Descent:
    """The steps of a minimisation.

    plan       how the replicas move between two updates
    values     of their dynamics
    adam       the optimiser
    roughness  weight of that of the potential
    """

    plan: rollout.RolloutPlan
    values: dict[str, jax.Array]
    adam: optax.GradientTransformation
    roughness: float

    @classmethod
    def of(
        cls,
        potential: Potential,
        topology: SiteTopology,
        data: Windows,
        mass: np.ndarray,
        rates: StartRates,
        updates: int,
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
        return cls(plan, values, optimiser(potential, rates, updates), roughness)

    def begin(self, keys: jax.Array, parameters: dict, positions: jax.Array):
        """States of replicas at positions (replicas, N, 3), nm."""
        tables = self.plan.potential.tabulate(parameters)
        start = jax.jit(rollout.start, static_argnums=0)
        return start(self.plan, self.values, tables, keys, positions)

    @partial(jax.jit, static_argnums=0)
    def advance(self, parameters: dict, moments: Any, states: Any, reference: jax.Array):
        """Parameters, moments and states after one update, with frames (F, N, 3), nm, of the
        `reference`; and the norm of the gradient."""
        tables = self.plan.potential.tabulate(parameters)
        states, frames = rollout.simulate_windows(self.plan, self.values, tables, states)
        gradient = jax.grad(self.loss)(parameters, reference, frames.positions[:, -1])
        steps, moments = self.adam.update(gradient, moments, parameters)
        parameters = optax.apply_updates(parameters, steps)
        return parameters, moments, states, optax.tree.norm(gradient)

    def loss(self, parameters: dict, reference: jax.Array, generated: jax.Array) -> jax.Array:
        """Its gradient is that of the relative entropy, with the penalty on roughness."""
        entropy = self.mean_energy(parameters, reference) - self.mean_energy(parameters, generated)
        penalty = self.roughness * self.plan.potential.roughness(parameters)
        return entropy / self.plan.kT + penalty

    def mean_energy(self, parameters: dict, positions: jax.Array) -> jax.Array:
        """Of frames (F, N, 3), nm, in kJ/mol."""
        plan, box = self.plan, jnp.asarray(self.plan.box, jnp.float32)
        tables = plan.potential.tabulate(parameters)

        def energy(x):
            neighbours, fault = rollout.neighbours_of(plan, x)
            return plan.potential.energy(tables, x, box, plan.topology, neighbours) + fault

        return jnp.mean(lax.map(energy, positions, batch_size=4))


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
