r"""The part of the classifier that is quadratic in how sites move, at its optimum.

Of the whitened vectors v of the motion of a site, f(v) = sum_k v_k^T B v_k over the components k.
The classifier's loss, <f>_Q - <f>_P + penalty/2 (R1 + R2), is quadratic in B, with C_Q and C_P the
covariances of one component it is least where

    B S + S B = (C_P - C_Q)/(2 penalty),      S = C_P + C_Q,

and near the end, where whitening makes S = 2, at B = (C_P - C_Q)/(8 penalty). That is what is
taken, throughout: it is linear in the covariances, so that sampling noise of few windows has mean
zero in it. With S of the same windows it has not: with 35 vectors and 8 windows of 64 sites
displacements came out 1 % too large.

The network alone finds this optimum late, weakly and with noise: see "What held GLE back" in
docs/lab-notes.md.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array


def covariances(vectors: Array, types: np.ndarray) -> Array:
    """(W, T, V, V): of one component of the vectors (W, N, 3, V), over the sites of each type."""
    count = types.max() + 1
    weight = np.eye(count, dtype=np.float32)[types] / np.bincount(types, minlength=count)
    return jnp.einsum("wnks,wnkt,na->wast", vectors, vectors, weight) / 3


def others(each: Array, everyone: Array, count: int) -> Array:
    """(W, ...): the mean over the others, for each of `count` windows whose mean is `everyone`.

    No window is judged by itself: a score fitted to a window's own noise is of second order in it,
    and always pulls the same way.
    """
    return (count * everyone - each) / (count - 1)


def answer(generated: Array, reference: Array, penalty: float) -> Array:
    """B (..., T, V, V), from covariances of the model's and of the reference's windows."""
    return (reference - generated) / (8 * penalty)


def scores(answers: Array, vectors: Array, types: np.ndarray) -> Array:
    """(W, N) of the sites with vectors (W, N, 3, V), by `answers` (W, T, V, V)."""
    return jnp.einsum("wnks,wnst,wnkt->wn", vectors, answers[:, types], vectors)
