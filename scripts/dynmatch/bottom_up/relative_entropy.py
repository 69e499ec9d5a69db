r"""Structural start: the potential whose equilibrium structure is that of the reference.

Relative-entropy minimisation (Shell 2008, doi:10.1063/1.2992060) with respect to the parameters:

    dS/dtheta = beta ( <dU/dtheta>_AA - <dU/dtheta>_CG )

The coarse-grained average is over persistent Langevin replicas that follow the changing potential.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random

from dynmatch.dynamics import rollout
from dynmatch.dynamics.dynamics import Dynamics
from dynmatch.errors import DynmatchError
from dynmatch.potentials import potential
from dynmatch.potentials.molecular import MolecularForm
from dynmatch.potentials.potential import PotentialForm
from dynmatch.sites.windows import LearningData, room_for_neighbours

TIME_STEP = 0.01
STEPS_BETWEEN_UPDATES = 20
COLLISION_RATE = 5.0
"""Langevin collision rate of the replicas, 1/ps: low, because only their structure matters."""
FRAMES_PER_UPDATE = 32
ROOM = 1.6
"""For neighbours of a site, over the most in the reference: the first potential is rough."""
REPORT_EVERY = 25


class StartRates(NamedTuple):
    """Adam rates of the pair coefficients, the radial functions and the network."""

    pair: float
    radial: float
    network: float


def optimiser(rates: StartRates, updates: int) -> optax.GradientTransformation:
    """Adam per group with a cosine decay to a hundredth."""

    def adam(rate):
        schedule = optax.cosine_decay_schedule(rate, updates, alpha=0.01)
        return optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule, b1=0.8, b2=0.99))

    return optax.partition(
        {"pair": adam(rates.pair), "radial": adam(rates.radial), "network": adam(rates.network)},
        {"pair": "pair", "radial": "radial", "network": "network"},
    )


def minimise(
    form: PotentialForm | MolecularForm,
    parameters: dict,
    data: LearningData,
    mass: float | np.ndarray,
    key: Array,
    *,
    updates: int,
    replicas: int,
    rates: StartRates,
    roughness: float,
    report: Callable[[dict], None],
) -> dict:
    """Parameters after `updates` steps; `report` gets a row of start.csv every 25 updates.

    `mass` is that of a site, amu, or an array (T,) over types.

    Raises DynmatchError when a replica explodes.
    """
    kT = form.thermal_energy
    plan = rollout.RolloutPlan(
        kind="ld",
        form=form,
        kT=kT,
        box=tuple(float(edge) for edge in data.box),
        time_step=TIME_STEP,
        lag_steps=(STEPS_BETWEEN_UPDATES,),
        gradient_steps=0,
        damping_time=jnp.inf,
    )
    room = room_for_neighbours(data, form.three_body_cutoff + plan.skin, ROOM)
    plan = replace(plan, neighbours=room)
    dynamics = Dynamics(jnp.float32(COLLISION_RATE * mass), jnp.float32(1.0), jnp.float32(mass))
    box = jnp.asarray(data.box, jnp.float32)
    adam = optimiser(rates, updates)
    pool = jnp.asarray(data.frames[data.starts])

    def mean_energy(parameters, positions):
        tables = potential.tabulate(form, parameters)

        def energy(x):
            neighbours, fault = rollout.neighbours_of(plan, x)
            return potential.energy(form, tables, x, box, neighbours) + fault

        return jnp.mean(lax.map(energy, positions, batch_size=4))

    def loss(parameters, reference, generated):
        entropy = mean_energy(parameters, reference) - mean_energy(parameters, generated)
        return entropy / kT + roughness * potential.roughness(parameters)

    @jax.jit
    def update(parameters, moments, states, key):
        tables = potential.tabulate(form, parameters)
        states, frames, _ = rollout.simulate_windows(plan, dynamics, tables, states)
        reference = pool[random.randint(key, (FRAMES_PER_UPDATE,), 0, len(pool))]
        gradient = jax.grad(loss)(parameters, reference, frames.positions[:, -1])
        steps, moments = adam.update(gradient, moments, parameters)
        parameters = optax.apply_updates(parameters, steps)
        return parameters, moments, states, optax.tree.norm(gradient)

    begun = time.monotonic()
    key, first, noise = random.split(key, 3)
    positions = pool[random.randint(first, (replicas,), 0, len(pool))]
    tables = potential.tabulate(form, parameters)
    states = jax.jit(rollout.start, static_argnums=0)(
        plan, dynamics, tables, random.split(noise, replicas), positions
    )
    moments = adam.init(parameters)
    some = data.frames[data.starts[:: max(1, len(data.starts) // 400)]]
    target = _pair_histogram(some, data.box, form.linked)
    seen = []
    averaged = parameters
    for number in range(1, updates + 1):
        parameters, moments, states, norm = update(
            parameters, moments, states, random.fold_in(key, number)
        )
        keep = min(0.99, number / (number + 10.0))
        averaged = optax.incremental_update(parameters, averaged, 1 - keep)
        seen.append(np.asarray(states.position))
        if number % REPORT_EVERY == 0 or number == updates:
            if not np.isfinite(norm):
                raise DynmatchError(
                    f"the relative-entropy minimisation broke down before update {number}: a "
                    "replica exploded or a neighbour list overflowed; lower training.start.rates"
                )
            error = np.abs(_pair_histogram(np.concatenate(seen), data.box, form.linked) - target)
            report(
                {
                    "update": number,
                    "minutes": (time.monotonic() - begun) / 60,
                    "rdf_error": float(np.mean(error)),
                    "gradient_norm": float(norm),
                }
            )
            seen = []
    return averaged


def _pair_histogram(
    positions: np.ndarray, box: np.ndarray, linked: tuple[tuple[int, int], ...], bins: int = 100
) -> np.ndarray:
    """g(r) of frames (F, N, 3) up to half the box on `bins` bins, without `linked` sites."""
    counted = np.triu(np.ones((positions.shape[1],) * 2, bool), 1)
    counted[tuple(np.array(linked, int).reshape(-1, 2).T)] = False
    i, j = np.nonzero(counted)
    edges = np.linspace(0.0, 0.5 * box.min(), bins + 1)
    counts = np.zeros(bins)
    for frame in positions:
        d = frame[i] - frame[j]
        d -= box * np.round(d / box)
        counts += np.histogram(np.sqrt(np.sum(d * d, -1)), edges)[0]
    shells = 4.0 / 3.0 * np.pi * np.diff(edges**3)
    return counts * np.prod(box) / (len(positions) * len(i) * shells)
