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
import numpy as np
from jax import Array

from dynmatch.potentials import torsional
from dynmatch.potentials.sum import Potential
from dynmatch.potentials.torsional import turns
from dynmatch.settings import ClassifierSettings
from dynmatch.sites.topology import SiteTopology
from dynmatch.training.classifiers.base import Features


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

    def structure(self, positions: Array, box: Array) -> Features:
        """Cosines and sines of the torsions of every frame, as scalars."""
        turned = jax.vmap(lambda x: turns(self.molecule.torsions_of(x, box)))(positions)
        return _scalars(turned.reshape(-1))

    def motion(self, means: Array, box: Array) -> Features:
        """Changes of torsions, and the squared displacement of the whole, between frames (nm^2)."""
        torsions = jax.vmap(lambda x: self.molecule.torsions_of(x, box))(means)
        whole = self.squares(means, box).T
        parts = jnp.concatenate([turns(jnp.diff(torsions, axis=0)), whole], -1)
        return _scalars(parts.reshape(-1))

    def squares(self, means: Array, box: Array) -> Array:
        """Of the mean of all sites."""
        return jnp.sum(jnp.diff(jnp.mean(means, -2), axis=0) ** 2, -1)[None]

    def types(self) -> np.ndarray:
        return np.zeros(1, int)

    def network(self) -> nn.Module:
        return Classifier(self.hidden)


class Classifier(nn.Module):
    """Scores (..., 1) of windows from standardised features."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, features: Features) -> Array:
        x = features.rank0
        for width in self.hidden:
            x = nn.silu(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False)(x)[..., 0]


def _scalars(values: Array) -> Features:
    """Features of one site that has scalars (C,) only."""
    return Features(values[None], jnp.zeros((1, 3, 0)), jnp.zeros((1, 6, 0)))
