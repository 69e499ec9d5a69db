"""How the generator's parameters move: Adam by group, the dynamics in what can be identified."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from dynmatch.dynamics.base import Equation, exponents
from dynmatch.potentials.sum import Potential
from dynmatch.settings import Rates

WARM_UP = 15
"""Updates over which the rates of the generator rise."""


def generator_optimiser(
    equation: Equation,
    potential: Potential,
    rates: Rates,
    updates: int,
    freeze: tuple[str, ...],
) -> optax.GradientTransformation:
    """Adam per group of the potential's parameters, `shared_adam` for the dynamics.

    The rates rise over the first updates, while the classifier learns what to look at, and fall on
    the square of a cosine: towards the end nearly as 1/n, so that the noise of single batches,
    which Adam's normalisation keeps as large as the signal, averages out. Gradients are clipped
    per group.
    """

    def group(rate, scale):
        schedule = optax.warmup_cosine_decay_schedule(
            0.0, rate, min(WARM_UP, updates // 4), updates
        )
        return optax.chain(
            optax.clip_by_global_norm(1.0), scale, optax.scale_by_learning_rate(schedule)
        )

    adam = optax.scale_by_adam(b1=0.8, b2=0.99)
    groups = {name: group(getattr(rates, name), adam) for name in potential.groups}
    directions = identifiable_directions(equation, freeze, len(potential.names))
    moved = optax.chain(directions, shared_adam(b1=0.8, b2=0.99))
    groups["dynamics"] = group(rates.dynamics, moved)

    def labels(parameters):
        return {
            "potential": {name: name for name in parameters["potential"]},
            "dynamics": "dynamics",
        }

    return optax.partition(groups, labels)


def identifiable_directions(
    equation: Equation, freeze: tuple[str, ...], types: int = 1
) -> optax.GradientTransformation:
    """Precondition the gradient of the logarithms by the metric of what can be seen.

    Trajectories determine the combinations u of the equation's `gauge`, for every type of site.
    With J the Jacobian of u, steepest ascent in u is (J^T J)^+ times the gradient: a step in alpha
    for the sake of gamma/alpha takes m along, and the direction that changes nothing is not walked
    at all. Frozen values are columns of zeros in J, and stay.
    """
    sizes = {name: types if each.of_type else 1 for name, each in equation.parameters.items()}
    columns = exponents(equation, sizes, freeze)
    # the leaves of a dictionary come in the order of its sorted keys
    jacobian = np.concatenate([columns[name] for name in sorted(columns)], 1)
    metric = np.linalg.pinv(jacobian.T @ jacobian).astype(np.float32)

    def update(gradient, state, parameters=None):
        vector, restore = ravel_pytree(gradient)
        return restore(metric @ vector), state

    return optax.GradientTransformation(lambda parameters: optax.EmptyState(), update)


class SharedAdamState(NamedTuple):
    count: Array
    mean: optax.Updates
    square: Array


def shared_adam(b1: float, b2: float) -> optax.GradientTransformation:
    """Adam with one second moment for all parameters: the steps keep the gradient's direction.

    The logarithms of the values have no scales of their own that would need equalising. Plain Adam
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
