r"""The classifier of liquids: a score for a window of trajectory, invariant as the physics is.

What it sees of site i in a window of T frames, from positions alone, without any predefined
kinetic feature:

    rank 0  sum_j h_c(r_ij(t))                       per frame t and radial channel c
    rank 1  sum_j h_c(r_ij(t)) u_ij(t)               per frame and channel, and
            R_i(t+1) - R_i(t)                        the site's own displacements
    rank 2  sum_j h_c(r_ij(t)) (u u^T - 1/3)         per frame and channel

with Gaussian channels h_c that vanish at the cutoff. Learned linear mixtures over frames, channels
and displacements give a few scalars, vectors and tensors per site; their inner products feed a
small network, and the score is the mean over sites. It is invariant under permutation of sites,
rotation, translation and periodic images, and sees space and time at once.

Every type of neighbour has channels of its own, and every type of site mixtures of its own. Sites
at most three bonds apart are not neighbours: of them the directions are seen, summed over the sites
of a type, as vectors of rank 1.

The mean displacement of all sites is removed: total momentum is conserved in the all-atom system,
whereas each coarse-grained site has a bath of its own, and the drift of the whole box is not
dynamics.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from dynmatch.potentials.sum import Potential
from dynmatch.settings import ClassifierSettings
from dynmatch.sites.topology import SiteTopology
from dynmatch.training.classifiers.base import (
    TENSOR,
    TENSOR_WEIGHTS,
    FrameFeatures,
    Scale,
    WindowFeatures,
    scale_of,
)


@dataclass(frozen=True)
class Form:
    """What is fixed before training: the sites, range (nm), radial channels, mixtures and hidden
    widths."""

    topology: SiteTopology
    cutoff: float
    inner: float
    channels: int = 12
    scalars: int = 16
    vectors: int = 8
    tensors: int = 4
    hidden: tuple[int, ...] = (32, 32)

    @classmethod
    def of(
        cls, potential: Potential, topology: SiteTopology, settings: ClassifierSettings
    ) -> "Form":
        inner = 0.85 * min(potential.term("pair").cores)
        return cls(topology, potential.reach, inner, settings.channels, hidden=settings.hidden)

    @property
    def members(self) -> list:
        """The sites of each type; all of them as a slice, where there is one type."""
        if len(self.topology.type_names) == 1:
            return [slice(None)]
        types = self.topology.types
        return [np.flatnonzero(types == n) for n in range(len(self.topology.type_names))]

    def frame_features(self, positions: Array, box: Array) -> FrameFeatures:
        n = positions.shape[0]
        d = positions[:, None, :] - positions[None, :, :]
        d = d - box * jnp.round(d / box)
        self_pair = jnp.eye(n, dtype=bool)
        r2 = jnp.where(self_pair, 1.0, jnp.sum(d * d, -1))
        r = jnp.sqrt(r2)
        u = d / r[..., None]
        linked = np.zeros((n, n), bool)
        linked[tuple(self.topology.linked.T)] = True
        near = (r < self.cutoff) & ~self_pair
        if self.topology.bonds:
            near &= ~linked
        inside = jnp.minimum(r, self.cutoff) / self.cutoff
        smooth = jnp.where(near, (1.0 - inside**2) ** 2, 0.0)
        width = (self.cutoff - self.inner) / self.channels
        centres = self.inner + width * (np.arange(self.channels, dtype=np.float32) + 0.5)
        h = smooth[..., None] * jnp.exp(-0.5 * ((r[..., None] - centres) / width) ** 2)
        tensor = jnp.stack([u[..., a] * u[..., b] - (a == b) / 3.0 for a, b in TENSOR], -1)
        basis = jnp.concatenate([jnp.ones((n, n, 1)), u, tensor], -1)
        moments = jnp.concatenate(
            [jnp.einsum("ijk,ijc->ikc", basis[:, own], h[:, own]) for own in self.members], -1
        )
        rank1 = moments[:, 1:4]
        if self.topology.bonds:
            ties = jnp.where(linked[..., None], u, 0.0)
            directions = jnp.stack([jnp.sum(ties[:, own], 1) for own in self.members], -1)
            rank1 = jnp.concatenate([rank1, directions], -1)
        return FrameFeatures(moments[:, 0], rank1, moments[:, 4:])

    def assemble(self, frames: FrameFeatures, means: Array, box: Array) -> WindowFeatures:
        def join(x, axis):
            """(..., T, N, [k,] C) -> (..., N, [k,] T*C)"""
            x = jnp.moveaxis(x, axis, -2)
            return x.reshape((*x.shape[:-2], -1))

        steps = jnp.moveaxis(displacements(means), -3, -1)
        rank1 = jnp.concatenate([join(frames.rank1, -4), steps], -1)
        return WindowFeatures(join(frames.rank0, -3), rank1, join(frames.rank2, -4))

    def window_features(self, positions: Array, means: Array, box: Array) -> WindowFeatures:
        """Of one window, positions and means (T, N, 3)."""
        frames = jax.vmap(lambda x: self.frame_features(x, box))(positions)
        return self.assemble(frames, means, box)

    def windows_features(self, positions: Array, means: Array, box: Array) -> WindowFeatures:
        """One window after the other."""
        return lax.map(lambda window: self.window_features(*window, box), (positions, means))

    def standard_scale(self, features: WindowFeatures) -> Scale:
        """Of all sites of a type together, as that of every site (N, ...) where there are several
        types."""
        of_types = [
            scale_of(jax.tree.map(lambda a, own=own: a[:, own], features)) for own in self.members
        ]
        if len(of_types) == 1:
            return of_types[0]
        types = jnp.asarray(self.topology.types)
        scale = Scale(*(jnp.stack(values)[types] for values in zip(*of_types, strict=True)))
        return scale._replace(scale1=scale.scale1[:, None], scale2=scale.scale2[:, None])

    def network(self) -> nn.Module:
        return Classifier(self)


def displacements(positions: Array) -> Array:
    """Site displacements between frames, (..., T, N, 3) -> (..., T-1, N, 3), drift removed, nm."""
    steps = jnp.diff(positions, axis=-3)
    return steps - jnp.mean(steps, -2, keepdims=True)


class TypedDense(nn.Module):
    """A linear map with a kernel for every type of site.

    Of scalars (..., N, F), with a bias; or, without `use_bias`, of the components of vectors and
    tensors (..., N, K, F).
    """

    size: int
    topology: SiteTopology
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        count = len(self.topology.type_names)
        # each type is a layer of its own: it does not count in the fan-in
        start = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", batch_axis=0)
        kernel = self.param("kernel", start, (count, x.shape[-1], self.size))
        bias = 0.0
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (count, self.size))
        if count == 1:
            return x @ kernel[0] + (bias[0] if self.use_bias else 0.0)
        types = jnp.asarray(self.topology.types)
        if not self.use_bias:
            return jnp.einsum("...nkf,nfo->...nko", x, kernel[types])
        return jnp.einsum("...nf,nfo->...no", x, kernel[types]) + bias[types]


class Classifier(nn.Module):
    """Scores (..., N) of the sites from standardised features; the window's score is their mean."""

    form: Form

    @nn.compact
    def __call__(self, features: WindowFeatures) -> Array:
        form, sites = self.form, self.form.topology
        one = len(sites.type_names) == 1
        names = (
            [f"Dense_{k}" for k in range(9)]
            if one
            else [f"TypedDense_{k}" for k in range(3)] + [f"Dense_{k}" for k in range(9)]
        )
        scalars = TypedDense(form.scalars, sites, name=names[0])(features.rank0)
        vectors = TypedDense(form.vectors, sites, False, name=names[1])(features.rank1)
        tensors = TypedDense(form.tensors, sites, False, name=names[2])(features.rank2)
        vv = jnp.einsum("...ka,...kb->...ab", vectors, vectors)
        tt = jnp.einsum("...ka,...kb,k->...ab", tensors, tensors, TENSOR_WEIGHTS)
        upper = np.triu_indices(form.vectors), np.triu_indices(form.tensors)
        x = jnp.concatenate([scalars, vv[..., *upper[0]], tt[..., *upper[1]]], -1)
        for number, width in enumerate(form.hidden):
            x = nn.silu(nn.Dense(width, name=names[3 + number])(x))
        return nn.Dense(1, use_bias=False, name=names[3 + len(form.hidden)])(x)[..., 0]
