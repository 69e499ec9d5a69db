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

The features are those that every classifier has (`base`) for a single site, without vectors and
tensors.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from dynmatch.potentials import torsional
from dynmatch.potentials.sum import Potential
from dynmatch.potentials.torsional import turns
from dynmatch.settings import ClassifierSettings
from dynmatch.sites.topology import SiteTopology
from dynmatch.training.classifiers.base import FrameFeatures, Scale, WindowFeatures, scale_of


@dataclass(frozen=True)
class Form:
    """What is fixed before training: the molecule's coordinates, and the widths of the layers."""

    molecule: torsional.Form
    hidden: tuple[int, ...]

    @classmethod
    def of(
        cls, potential: Potential, topology: SiteTopology, settings: ClassifierSettings
    ) -> "Form":
        return cls(potential.term("torsional"), settings.hidden)

    def frame_features(self, positions: Array, box: Array) -> FrameFeatures:
        """As scalars (F,) only."""
        return FrameFeatures(turns(self.molecule.torsions_of(positions, box)), None, None)

    def assemble(self, frames: FrameFeatures, means: Array, box: Array) -> WindowFeatures:
        seen = frames.rank0.reshape((*frames.rank0.shape[:-2], -1))
        scalars = jnp.concatenate([seen, self._motion(means, box)], -1)[..., None, :]
        one = scalars.shape[:-1]
        return WindowFeatures(scalars, jnp.zeros((*one, 3, 0)), jnp.zeros((*one, 6, 0)))

    def windows_features(self, positions: Array, means: Array, box: Array) -> WindowFeatures:
        """All windows at once."""
        of_frames = jax.vmap(jax.vmap(lambda x: self.frame_features(x, box)))
        return self.assemble(of_frames(positions), means, box)

    def standard_scale(self, features: WindowFeatures) -> Scale:
        return scale_of(features)

    def network(self) -> nn.Module:
        return Classifier(self.hidden)

    def _motion(self, means: Array, box: Array) -> Array:
        """Changes of torsions, and the squared displacement of the whole, between frames (nm^2)."""
        change = jnp.diff(self.molecule.torsions_of(means, box), axis=-2)
        whole = jnp.sum(jnp.diff(jnp.mean(means, -2), axis=-2) ** 2, -1, keepdims=True)
        parts = jnp.concatenate([turns(change), whole], -1)
        return parts.reshape((*parts.shape[:-2], -1))


class Classifier(nn.Module):
    """Scores (..., 1) of windows from standardised features."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, features: WindowFeatures) -> Array:
        x = features.rank0
        for width in self.hidden:
            x = nn.silu(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False)(x)[..., 0]
