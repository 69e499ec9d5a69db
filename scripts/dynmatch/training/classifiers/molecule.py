r"""The classifier of one molecule by itself: it sees torsions, and how they and the whole move.

Of a window of T frames it is shown, without any predefined kinetic feature:

    of every frame               cosine and sine of each torsion
    between successive frames    cosine and sine of the change of each torsion, and the squared
                                 displacement of the mean of all sites

and a small network scores all of it at once. It is invariant under translation and rotation, and
tells a molecule from its mirror image. Lengths and angles, and displacements of single sites, which
contain them, are left out: those of the model are softer than the reference's, for the sake of the
time step. Nothing is conserved in a solvent without molecules, so that the motion of the whole
molecule is dynamics like any other.

The features are those that `classifier` has for a single site, without vectors and tensors.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from dynmatch.potentials import torsional as potential
from dynmatch.potentials.torsional import InternalForm
from dynmatch.training.classifiers import liquid as classifier
from dynmatch.training.classifiers.liquid import FrameFeatures, WindowFeatures


@dataclass(frozen=True)
class InternalClassifierForm:
    """What is fixed before training: the molecule's coordinates, and the widths of the layers."""

    molecule: InternalForm
    hidden: tuple[int, ...]
    types: tuple[int, ...] = ()


@classifier.frame_features.register
def frame_features(form: InternalClassifierForm, positions: Array, box: Array) -> FrameFeatures:
    """Features (F,) of one frame, positions (N, 3) nm, as scalars only."""
    turns = potential.turns(potential.torsions(form.molecule, positions, box))
    return FrameFeatures(turns, None, None)


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
    """Changes of torsions, and the squared displacement of the whole, between frames (nm^2)."""
    change = jnp.diff(potential.torsions(form.molecule, means, box), axis=-2)
    whole = jnp.sum(jnp.diff(jnp.mean(means, -2), axis=-2) ** 2, -1, keepdims=True)
    parts = jnp.concatenate([potential.turns(change), whole], -1)
    return parts.reshape((*parts.shape[:-2], -1))
