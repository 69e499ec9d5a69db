r"""The classifier of one molecule by itself: it sees internal coordinates, and how sites move.

Of a window of T frames it is shown, without any predefined kinetic feature:

    of every frame               the features q of `internal_potential`: cosine and sine of each
                                 torsion, deviations of lengths, angles and impropers
    between successive frames    dR_i . dR_j of the displacements of all pairs of sites, i <= j, and
                                 cosine and sine of the change of each torsion

and a small network scores all of it at once. It is invariant under translation and rotation, and
tells a molecule from its mirror image. Nothing is conserved in a solvent without molecules, so that
the motion of the whole molecule, which the displacements contain, is dynamics like any other.

The features are those that `classifier` has for a single site, without vectors and tensors.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch import classifier
from dynmatch import internal_potential as potential
from dynmatch.classifier import FrameFeatures, WindowFeatures
from dynmatch.internal_potential import InternalForm


@dataclass(frozen=True)
class InternalClassifierForm:
    """What is fixed before training: the molecule's coordinates, and the widths of the layers."""

    molecule: InternalForm
    hidden: tuple[int, ...]
    types: tuple[int, ...] = ()


@classifier.frame_features.register
def frame_features(form: InternalClassifierForm, positions: Array, box: Array) -> FrameFeatures:
    """Features (F,) of one frame, positions (N, 3) nm, as scalars only."""
    return FrameFeatures(potential.features(form.molecule, positions, box), None, None)


@classifier.assemble.register
def assemble(
    form: InternalClassifierForm, frames: FrameFeatures, means: Array, box: Array
) -> WindowFeatures:
    """Join the features of frames (..., T, F) with the motion between means (..., T, N, 3)."""
    seen = frames.rank0.reshape((*frames.rank0.shape[:-2], -1))
    scalars = jnp.concatenate([seen, _motion(form, means, box)], -1)[..., None, :]
    one = scalars.shape[:-1]
    return WindowFeatures(scalars, jnp.zeros((*one, 3, 0)), jnp.zeros((*one, 6, 0)))


@classifier.windows_features.register
def windows_features(
    form: InternalClassifierForm, positions: Array, means: Array, box: Array
) -> WindowFeatures:
    """Features of many windows (W, T, N, 3), all at once."""
    of_frames = jax.vmap(jax.vmap(lambda x: frame_features(form, x, box)))
    return assemble(form, of_frames(positions), means, box)


@classifier.network.register
def network(form: InternalClassifierForm) -> nn.Module:
    return InternalClassifier(form.hidden)


class InternalClassifier(nn.Module):
    """Scores (..., 1) of windows from standardised features."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, features: WindowFeatures) -> Array:
        x = features.rank0
        for width in self.hidden:
            x = nn.silu(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False)(x)[..., 0]


def _motion(form: InternalClassifierForm, means: Array, box: Array) -> Array:
    """Inner products of displacements, and turns of torsions, between successive frames."""
    steps = jnp.diff(means, axis=-3)
    upper = np.triu_indices(means.shape[-2])
    products = jnp.einsum("...ik,...jk->...ij", steps, steps)[..., upper[0], upper[1]]
    turns = jnp.diff(potential.torsions(form.molecule, means, box), axis=-2)
    parts = jnp.concatenate([products, jnp.cos(turns), jnp.sin(turns)], -1)
    return parts.reshape((*parts.shape[:-2], -1))
