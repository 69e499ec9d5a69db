"""How the generator's parameters move: Adam by group, the dynamics by the natural gradient."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from dynmatch.dynamics.base import Equation, exponents
from dynmatch.potentials.sum import Potential
from dynmatch.settings import Rates

WARM_UP = 15
"""Updates over which the rates of the generator rise."""
DAMPING = 0.01
"""Of the metric of the dynamics, relative to its mean eigenvalue: what hardly shows in the windows
moves hardly."""
MEMORY = 0.8
"""Weight of the past in the direction of the dynamics."""
LONG_MEMORY = 0.95
"""The same for its metric and its size."""


def rate_of(rate: float, updates: int) -> optax.Schedule:
    """The rate rises over the first updates, while the classifier learns what to look at, and falls
    on the square of a cosine: towards the end nearly as 1/n, so that the noise of single batches,
    which normalisation keeps as large as the signal, averages out."""
    warm_up = min(WARM_UP, updates // 4)
    return optax.warmup_cosine_decay_schedule(0.0, rate, warm_up, updates)


def potential_optimiser(
    potential: Potential, rates: Rates, updates: int
) -> optax.GradientTransformation:
    """Adam per group of the potential's parameters; gradients are clipped per group."""

    def group(name):
        return optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.scale_by_adam(b1=0.8, b2=0.99),
            optax.scale_by_learning_rate(rate_of(getattr(rates, name), updates)),
        )

    groups = {name: group(name) for name in potential.groups}
    return optax.partition(groups, dict(zip(groups, groups, strict=True)))


class NaturalState(NamedTuple):
    """Running means: of the metric (D, D), of the direction (D,), and of its squared length."""

    count: Array
    metric: Array
    direction: Array
    square: Array

    @classmethod
    def start(cls, size: int) -> "NaturalState":
        zero = jnp.zeros(size, jnp.float32)
        return cls(jnp.int32(0), jnp.zeros((size, size), jnp.float32), zero, jnp.float32(0.0))


def natural_step(state: NaturalState, gradient: Array, metric: Array) -> tuple[Array, NaturalState]:
    """A step of unit length on average, in the metric of what the windows show.

    gradient (D,) of the score and metric (D, D), both with respect to D logarithms. The natural
    gradient, metric^-1 gradient (S. Amari, Neural Comput. 10, 251 (1998),
    doi:10.1162/089976698300017746), does not depend on how the dynamics is parametrised: what the
    windows cannot tell from one another is not walked for the sake of noise, and correlated
    parameters do not hinder one another. Its length is taken out by a running mean, as Adam does.
    """
    count = state.count + 1
    keep = jnp.minimum(LONG_MEMORY, 1 - 1 / count)
    metric = keep * state.metric + (1 - keep) * metric
    size = len(metric)
    damped = metric + (DAMPING * jnp.trace(metric) / size + 1e-12) * jnp.eye(size)
    step = jnp.linalg.solve(damped, gradient)
    square = LONG_MEMORY * state.square + (1 - LONG_MEMORY) * jnp.dot(step, gradient)
    direction = MEMORY * state.direction + (1 - MEMORY) * step
    length = jnp.sqrt(square / (1 - LONG_MEMORY**count)) + 1e-12
    unit = direction / (1 - MEMORY**count) / length
    return unit, NaturalState(count, metric, direction, square)


def changes_of_values(
    equation: Equation, freeze: tuple[str, ...], types: int
) -> tuple[np.ndarray, list[str]]:
    """The matrix (V, D) from changes of what is carried to those of the logarithms of all values of
    the equation's gauge, and the order of these.

    Trajectories determine the combinations u of the `gauge` only, for every type of site. With J
    the Jacobian of u, the least change of the values that changes u by du is J^+ du. Frozen values
    are columns of zeros in J, and stay.
    """
    names = sorted({name for each in equation.gauge.values() for name in each})
    sizes = {name: types if equation.parameters[name].of_type else 1 for name in names}
    columns = exponents(equation, sizes, freeze)
    return np.linalg.pinv(np.concatenate([columns[name] for name in names], 1)), names
