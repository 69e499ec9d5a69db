"""What a classifier of trajectories is: features of windows, and a network that scores them.

Of each site, or of a molecule as a whole, it is shown scalars, vectors and tensors of rank 2: of
the structure at some frames, and of the motion between frames, standardised on the reference.
"""

from typing import NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.potentials.sum import Potential
from dynmatch.settings import ClassifierSettings
from dynmatch.sites.topology import SiteTopology

TENSOR = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
TENSOR_WEIGHTS = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], np.float32)


class Features(NamedTuple):
    """Of the sites of windows: rank0 (..., N, C0), rank1 (..., N, 3, C1), rank2 (..., N, 6, C2)."""

    rank0: Array
    rank1: Array
    rank2: Array


class Form(Protocol):
    """What is fixed before training; frozen and hashable."""

    @classmethod
    def of(
        cls, potential: Potential, topology: SiteTopology, settings: ClassifierSettings
    ) -> "Form":
        """The classifier for the sites that `potential` moves."""

    def structure(self, positions: Array, box: Array) -> Features:
        """Of the frames (T, N, 3), nm, of one window, each by itself."""

    def motion(self, means: Array, box: Array) -> Features:
        """Of the mean positions (T, N, 3), nm, unwrapped, of one window, between its frames."""

    def squares(self, means: Array, box: Array) -> Array:
        """(K, S) nm^2: mean square displacement of each of the K `types`, over each of the S
        lags between the frames of one window. Shown to nobody: a training is judged by it."""

    def types(self) -> np.ndarray:
        """(N,) type of every site, or of what stands for one."""

    def network(self) -> nn.Module:
        """Scores (..., N) from joined features; the score of a window is their mean."""


class Standard(NamedTuple):
    """Standardisation of the features of each type of site (T, ...), fixed on the reference.

    mean0, scale0, scale1, scale2  of the structure, feature by feature
    motion_mean0, motion_scale0    of the scalars of the motion
    whitening   (T, C, C) of its vectors: successive displacements are correlated, and scaled one by
                one they would hide accelerations, the differences of what is nearly equal
    """

    mean0: Array
    scale0: Array
    scale1: Array
    scale2: Array
    motion_mean0: Array
    motion_scale0: Array
    whitening: Array


def standard_of(structure: Features, motion: Features, types: np.ndarray) -> Standard:
    """From features (W, N, ...) of windows of the reference."""
    rows = []
    for number in range(types.max() + 1):
        own = np.flatnonzero(types == number)
        s, m = (jax.tree.map(lambda a: a[:, own], each) for each in (structure, motion))  # noqa: B023
        rows.append(
            Standard(
                jnp.mean(s.rank0, (0, 1)),
                _floored(jnp.std(s.rank0, (0, 1))),
                _floored(jnp.sqrt(jnp.mean(s.rank1**2, (0, 1, 2)))),
                _floored(jnp.sqrt(jnp.mean(s.rank2**2 * TENSOR_WEIGHTS[:, None], (0, 1, 2)))),
                jnp.mean(m.rank0, (0, 1)),
                _floored(jnp.std(m.rank0, (0, 1))),
                _whitening(m.rank1),
            )
        )
    return Standard(*(jnp.stack(each) for each in zip(*rows, strict=True)))


def _floored(scale: Array) -> Array:
    """At least a thousandth of the largest; 1 where sites of a type never have a neighbour."""
    largest = jnp.max(scale, initial=0.0)
    return jnp.where(largest > 0.0, jnp.maximum(scale, 1e-3 * largest), 1.0)


def _whitening(vectors: Array) -> Array:
    """The matrix (C, C) that takes vectors (W, N, 3, C) to uncorrelated ones of unit variance."""
    if not vectors.shape[-1]:
        return jnp.zeros((0, 0))
    flat = vectors.reshape(-1, vectors.shape[-1])
    covariance = flat.T @ flat / len(flat)
    return jnp.linalg.inv(jnp.linalg.cholesky(covariance)).T


def joined(
    standard: Standard, structure: Features, motion: Features, types: np.ndarray
) -> Features:
    """Both, standardised, of windows (..., N, ...), as the network takes them."""
    own = _of_sites(standard, types)
    moved = standard_motion(standard, motion, types)
    return Features(
        jnp.concatenate([(structure.rank0 - own.mean0) / own.scale0, moved.rank0], -1),
        jnp.concatenate([structure.rank1 / own.scale1[..., None, :], moved.rank1], -1),
        structure.rank2 / own.scale2[..., None, :],
    )


def standard_motion(standard: Standard, motion: Features, types: np.ndarray) -> Features:
    """The standardised motion of windows (..., N, ...)."""
    own = _of_sites(standard, types)
    scalars = (motion.rank0 - own.motion_mean0) / own.motion_scale0
    if own.whitening.ndim == 2:
        vectors = motion.rank1 @ own.whitening
    else:
        vectors = jnp.einsum("...nks,nst->...nkt", motion.rank1, own.whitening)
    return Features(scalars, vectors, motion.rank2)


def _of_sites(standard: Standard, types: np.ndarray) -> Standard:
    """`standard` of every site (N, ...), or of all where there is one type."""
    if len(standard.mean0) == 1:
        return jax.tree.map(lambda a: a[0], standard)
    return jax.tree.map(lambda a: a[jnp.asarray(types)], standard)


def gradient_penalty(network: nn.Module, variables: dict, features: Features) -> Array:
    """Mean over sites of |d score_i / d features_i|^2 (zero-centred; arXiv:1801.04406, R1 and R2).

    It is taken with respect to the standardised features, not the positions: no second derivative
    passes through distances, and the score stays bounded by how far the ensembles are apart. The
    norm is that of full tensors, and does not change under rotation: a gradient with respect to a
    stored component that stands for two is half of that of each.
    """
    gradient = jax.grad(lambda f: jnp.sum(network.apply(variables, f)))(features)
    sites = features.rank0.size // features.rank0.shape[-1]
    tensors = gradient.rank2**2 / TENSOR_WEIGHTS[:, None]
    return (jnp.sum(gradient.rank0**2) + jnp.sum(gradient.rank1**2) + jnp.sum(tensors)) / sites


def classifier_loss(
    network: nn.Module,
    variables: dict,
    generated: Features,
    reference: Features,
    penalty: float,
) -> Array:
    """<f>_Q - <f>_P + penalty/2 (R1 + R2), to be minimised over phi."""
    gap = jnp.mean(network.apply(variables, generated)) - jnp.mean(
        network.apply(variables, reference)
    )
    r1 = gradient_penalty(network, variables, reference)
    r2 = gradient_penalty(network, variables, generated)
    return gap + 0.5 * penalty * (r1 + r2)
