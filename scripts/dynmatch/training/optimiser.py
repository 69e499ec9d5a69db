"""How the generator's parameters move: Adam by group, the dynamics by the natural gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from dynmatch.dynamics.base import Equation, exponents
from dynmatch.potentials.sum import Potential
from dynmatch.settings import Rates
from dynmatch.training.classifiers.base import Standard

WARM_UP = 15
"""Updates over which the rates of the generator rise."""
DAMPING = 0.005
"""Of the metric of the dynamics, relative to its mean eigenvalue: what shows less in the windows
moves hardly, and what does not show at all does not move."""
TRUST = 1.0
"""The longest step of the logarithms that is believed, before it is multiplied by the rate."""
CAUTION = 0.5
"""Damping for each unit of the score gap."""
LONG_MEMORY = 0.95
"""Weight of the past in the response of the motion to the dynamics."""


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


class Response(NamedTuple):
    """How what the classifier is shown of the motion of each of T types changes with each of D
    logarithms: the means of its scalars (D, T, C) and the covariance of its vectors (D, T, V, V),
    both standardised."""

    shifts: Array
    spread: Array

    def metric(self) -> Array:
        """(D, D) Fisher information of one component of a vector, as if these were normal."""
        means = jnp.einsum("dac,eac->de", self.shifts, self.shifts)
        return means + 0.5 * jnp.einsum("dast,east->de", self.spread, self.spread)


class NaturalState(NamedTuple):
    """The number of updates, and the running mean of the response."""

    count: Array
    response: Response

    @classmethod
    def start(cls, size: int, standard: Standard) -> "NaturalState":
        """For `size` logarithms and the features that `standard` standardises."""
        shapes = standard.motion_mean0.shape, standard.whitening.shape
        return cls(jnp.int32(0), Response(*(jnp.zeros((size, *shape)) for shape in shapes)))


def natural_step(
    state: NaturalState, gradient: Array, response: Response, penalty: float, gap: Array
) -> tuple[Array, NaturalState]:
    """The step (D,) of the logarithms, from the gradient (D,) of the score, at a score gap `gap`.

    A classifier that is quadratic in v, normal and whitened, has its optimum at the score
    -v^T (C - 1) v/(8 penalty), C the covariance of the model's v: the gradient is -3/(4 penalty)
    times the metric times what the logarithms are off. The natural gradient (S. Amari, Neural
    Comput. 10, 251 (1998), doi:10.1162/089976698300017746) in that unit is Newton's step. It does
    not depend on how the dynamics is parametrised.

    Means are taken of the response and not of the metric, which is of second order in it: the
    sampling noise of single updates would make what hardly shows look as if it did. What is gone is
    at most `TRUST` along each eigenvector of the metric, and damped in proportion to the gap: far
    from the end, what hardly shows has to wait for what does.
    """
    count = state.count + 1
    keep = jnp.minimum(LONG_MEMORY, 1 - 1 / count)
    response = jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, state.response, response)
    values, vectors = jnp.linalg.eigh(response.metric())
    size, values = jnp.mean(values) + 1e-12, jnp.maximum(values, 0.0)
    along = 4 * penalty / 3 * (vectors.T @ gradient)
    damping = (DAMPING + CAUTION * jnp.maximum(gap, 0.0)) * size
    # 1/values where they are large, and 0 where they are 0: there the gradient is noise alone
    step = along * values / (values**2 + damping**2)
    return vectors @ jnp.clip(step, -TRUST, TRUST), NaturalState(count, response)


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
