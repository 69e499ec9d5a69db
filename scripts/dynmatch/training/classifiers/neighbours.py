r"""The classifier of liquids: a score for a window of trajectory, invariant as the physics is.

What it sees of site i in a window of T frames, from positions alone, without any predefined
kinetic feature, is its neighbourhood at the first frame and at the last, and its own way:

    rank 0  sum_j h_c(r_ij(t))                       t = 1, T, per radial channel c
    rank 1  sum_j h_c(r_ij(t)) u_ij(t)               the same, and
            R_i(t+1) - R_i(t)                        displacements between successive frames
    rank 2  sum_j h_c(r_ij(t)) (u u^T - 1/3)         t = 1, T, per channel

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
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.potentials.sum import Potential
from dynmatch.settings import ClassifierSettings
from dynmatch.sites.box import minimum_image
from dynmatch.sites.topology import SiteTopology
from dynmatch.training.classifiers.base import TENSOR, TENSOR_WEIGHTS, Features


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

    def structure(self, positions: Array, box: Array) -> Features:
        """Of the first frame and the last, joined; what lies between is seen as motion."""
        ends = [self._of_frame(positions[k], box) for k in sorted({0, len(positions) - 1})]
        return Features(*(jnp.concatenate(each, -1) for each in zip(*ends, strict=True)))

    def motion(self, means: Array, box: Array) -> Features:
        """Displacements of the sites between successive frames, less the mean of all sites."""
        steps = jnp.moveaxis(displacements(means), 0, -1)
        n = len(steps)
        return Features(jnp.zeros((n, 0)), steps, jnp.zeros((n, 6, 0)))

    def squares(self, means: Array, box: Array) -> Array:
        squares = jnp.sum(displacements(means) ** 2, -1)
        return jnp.stack([jnp.mean(squares[:, own], 1) for own in self.members])

    def types(self) -> np.ndarray:
        return self.topology.types

    def _of_frame(self, positions: Array, box: Array) -> Features:
        n = positions.shape[0]
        d = positions[:, None, :] - positions[None, :, :]
        d = minimum_image(d, box, jnp)
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
        return Features(moments[:, 0], rank1, moments[:, 4:])

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
    def __call__(self, features: Features) -> Array:
        form, sites = self.form, self.form.topology
        scalars = TypedDense(form.scalars, sites, name="scalars")(features.rank0)
        vectors = TypedDense(form.vectors, sites, False, name="vectors")(features.rank1)
        tensors = TypedDense(form.tensors, sites, False, name="tensors")(features.rank2)
        x = [
            scalars,
            _products(vectors, vectors),
            _products(tensors, TENSOR_WEIGHTS[:, None] * tensors),
        ]
        x = jnp.concatenate(x, -1)
        for width in form.hidden:
            x = nn.silu(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False)(x)[..., 0]


def _products(a: Array, b: Array) -> Array:
    """Inner products (..., V (V + 1) / 2) of each of the V columns of a (..., K, V) with itself and
    those after it in b. As sums of slices they take a third of the time that products of matrices
    and indices take, whose gradient is a scatter."""
    count = a.shape[-1]
    return jnp.concatenate([jnp.sum(a[..., k : k + 1] * b[..., k:], -2) for k in range(count)], -1)
