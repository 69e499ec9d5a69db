r"""Structural start: the potential whose equilibrium structure is that of the reference.

Relative-entropy minimisation (Shell 2008, doi:10.1063/1.2992060) with respect to the parameters:

    dS/dtheta = beta ( <dU/dtheta>_AA - <dU/dtheta>_CG )

The coarse-grained average is over persistent Langevin replicas that follow the changing potential.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random

from dynmatch.bottom_up.adam import descend, optimiser
from dynmatch.dynamics import rollout
from dynmatch.dynamics.langevin import Equation as Langevin
from dynmatch.errors import DynmatchError
from dynmatch.potentials.sum import Potential
from dynmatch.settings import StartRates
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
    key: Array,
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
    kT = potential.thermal_energy
    plan = rollout.RolloutPlan(
        equation=Langevin(TIME_STEP),
        potential=potential,
        topology=topology,
        kT=kT,
        box=tuple(float(edge) for edge in data.box),
        lag_steps=(STEPS_BETWEEN_UPDATES,),
        gradient_steps=0,
        damping_time=jnp.inf,
    )
    plan = rollout.with_capacity(plan, data.frames, MARGIN)
    values = {
        "gamma": jnp.asarray(COLLISION_RATE * mass, jnp.float32),
        "alpha": jnp.float32(1.0),
        "mass": jnp.asarray(mass, jnp.float32),
    }
    box = jnp.asarray(data.box, jnp.float32)
    adam = optimiser(potential, rates, updates)
    pool = jnp.asarray(data.frames[data.starts])

    def mean_energy(parameters, positions):
        tables = potential.tabulate(parameters)

        def energy(x):
            neighbours, fault = rollout.neighbours_of(plan, x)
            return potential.energy(tables, x, box, topology, neighbours) + fault

        return jnp.mean(lax.map(energy, positions, batch_size=4))

    def loss(parameters, reference, generated):
        entropy = mean_energy(parameters, reference) - mean_energy(parameters, generated)
        return entropy / kT + roughness * potential.roughness(parameters)

    @jax.jit
    def advance(parameters, moments, states, key):
        tables = potential.tabulate(parameters)
        states, frames, _ = rollout.simulate_windows(plan, values, tables, states)
        reference = pool[random.randint(key, (FRAMES_PER_UPDATE,), 0, len(pool))]
        gradient = jax.grad(loss)(parameters, reference, frames.positions[:, -1])
        steps, moments = adam.update(gradient, moments, parameters)
        parameters = optax.apply_updates(parameters, steps)
        return parameters, moments, states, optax.tree.norm(gradient)

    key, first, noise = random.split(key, 3)
    positions = pool[random.randint(first, (replicas,), 0, len(pool))]
    states = jax.jit(rollout.start, static_argnums=0)(
        plan, values, potential.tabulate(parameters), random.split(noise, replicas), positions
    )
    some = data.frames[data.starts[:: max(1, len(data.starts) // 400)]]
    target = _pair_histogram(some, data.box, topology)
    seen = []

    def update(number, parameters, carried):
        moments, states = carried
        parameters, moments, states, norm = advance(
            parameters, moments, states, random.fold_in(key, number)
        )
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

    return descend(update, parameters, (adam.init(parameters), states), updates, report, measure)


def _pair_histogram(
    positions: np.ndarray, box: np.ndarray, topology: SiteTopology, bins: int = 100
) -> np.ndarray:
    """g(r) of frames (F, N, 3) up to half the box on `bins` bins, without linked sites."""
    counted = np.triu(np.ones((positions.shape[1],) * 2, bool), 1)
    counted[tuple(topology.linked.T)] = False
    i, j = np.nonzero(counted)
    edges = np.linspace(0.0, 0.5 * box.min(), bins + 1)
    counts = np.zeros(bins)
    for frame in positions:
        d = frame[i] - frame[j]
        d -= box * np.round(d / box)
        counts += np.histogram(np.sqrt(np.sum(d * d, -1)), edges)[0]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return counts * np.prod(box) / (len(positions) * len(i) * shells)
