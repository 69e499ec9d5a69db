"""What a classifier of trajectories is: features of windows, and a network that scores them.

Every classifier shows its network, of each site or of a molecule as a whole, scalars, vectors and
tensors of rank 2, standardised on the reference; and it is penalised alike.
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


class FrameFeatures(NamedTuple):
    """Of one or many frames: (..., N, C), (..., N, 3, C) and (..., N, 6, C)."""

    rank0: Array
    rank1: Array | None
    rank2: Array | None


class WindowFeatures(NamedTuple):
    """What the classifier sees of each site of a window: rank0 (..., N, C0), rank1 (..., N, 3, C1),
    rank2 (..., N, 6, C2)."""

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

    def frame_features(self, positions: Array, box: Array) -> FrameFeatures:
        """Of one frame, positions (N, 3) nm."""

    def assemble(self, frames: FrameFeatures, means: Array, box: Array) -> WindowFeatures:
        """Join features of frames (..., T, N, ...) with the motion of the means (..., T, N, 3)."""

    def windows_features(self, positions: Array, means: Array, box: Array) -> WindowFeatures:
        """Of many windows, positions (W, T, N, 3) nm, unwrapped, and the means (W, T, N, 3) whose
        motion is seen."""

    def standard_scale(self, features: WindowFeatures) -> "Scale":
        """The standardisation of features (W, N, ...) of the reference."""

    def network(self) -> nn.Module:
        """Scores (..., N) from standardised features; the score of a window is their mean."""


class Scale(NamedTuple):
    """Standardisation of the features, fixed on the all-atom data."""

    mean0: Array
    scale0: Array
    scale1: Array
    scale2: Array


def scale_of(features: WindowFeatures) -> Scale:
    """Mean and root mean square of every feature, over windows (W, N, ...) and sites."""
    mean0 = jnp.mean(features.rank0, (0, 1))
    scale0 = jnp.std(features.rank0, (0, 1))
    scale1 = jnp.sqrt(jnp.mean(features.rank1**2, (0, 1, 2)))
    scale2 = jnp.sqrt(jnp.mean(features.rank2**2 * TENSOR_WEIGHTS[:, None], (0, 1, 2)))
    return Scale(mean0, *(_floored(scale) for scale in (scale0, scale1, scale2)))


def _floored(scale: Array) -> Array:
    """At least a thousandth of the largest; 1 where sites of a type never have a neighbour."""
    largest = jnp.max(scale, initial=0.0)
    return jnp.where(largest > 0.0, jnp.maximum(scale, 1e-3 * largest), 1.0)


def standardise(scale: Scale, features: WindowFeatures) -> WindowFeatures:
    return WindowFeatures(
        (features.rank0 - scale.mean0) / scale.scale0,
        features.rank1 / scale.scale1,
        features.rank2 / scale.scale2,
    )


def gradient_penalty(network: nn.Module, variables: dict, features: WindowFeatures) -> Array:
    """Mean over sites of |d score_i / d features_i|^2 (zero-centred; arXiv:1801.04406, R1 and R2).

    It is taken with respect to the standardised features, not the positions: no second derivative
    passes through distances, and the score stays bounded by how far the ensembles are apart.
    """
    gradient = jax.grad(lambda f: jnp.sum(network.apply(variables, f)))(features)
    sites = features.rank0.size // features.rank0.shape[-1]
    return sum(jnp.sum(g * g) for g in gradient) / sites


def classifier_loss(
    network: nn.Module,
    variables: dict,
    generated: WindowFeatures,
    reference: WindowFeatures,
    penalty: float,
) -> Array:
    """<f>_Q - <f>_P + penalty/2 (R1 + R2), to be minimised over phi."""
    gap = jnp.mean(network.apply(variables, generated)) - jnp.mean(
        network.apply(variables, reference)
    )
    r1 = gradient_penalty(network, variables, reference)
    r2 = gradient_penalty(network, variables, generated)
    return gap + 0.5 * penalty * (r1 + r2)
