r"""The classifier f_phi: a score for a window of trajectory, invariant as the physics is.

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

Where there are several types of sites, every type of neighbour has channels of its own, and every
type of site mixtures of its own. Sites at most three bonds apart are then not neighbours: of them
the directions are seen, summed over the sites of a type, as vectors of rank 1.

The mean displacement of all sites is removed: total momentum is conserved in the all-atom system,
whereas each coarse-grained site has a bath of its own, and the drift of the whole box is not
dynamics.

`frame_features`, `assemble`, `windows_features` and `network` go by the type of the form: those
here are for liquids, those of `internal_classifier` for a molecule by itself.
"""

from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

TENSOR = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
TENSOR_WEIGHTS = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], np.float32)


@dataclass(frozen=True)
class ClassifierForm:
    """What is fixed before training: range (nm), radial channels, mixtures and hidden widths.

    types  (N,) of the sites; empty where there is one only
    linked pairs of sites at most three bonds apart, both ways; only with `types`
    """

    cutoff: float
    inner: float
    channels: int = 12
    scalars: int = 16
    vectors: int = 8
    tensors: int = 4
    hidden: tuple[int, ...] = (32, 32)
    types: tuple[int, ...] = ()
    linked: tuple[tuple[int, int], ...] = ()

    @property
    def members(self) -> list[np.ndarray]:
        """The sites of each type."""
        types = np.array(self.types)
        return [np.flatnonzero(types == number) for number in range(types.max() + 1)]


class FrameFeatures(NamedTuple):
    """Moments of one or many frames: (..., N, C), (..., N, 3, C) and (..., N, 6, C)."""

    rank0: Array
    rank1: Array
    rank2: Array


class WindowFeatures(NamedTuple):
    """What the classifier sees of each site of a window.

    rank0 (..., N, T*C), rank1 (..., N, 3, T*C + T-1) with the displacements last,
    rank2 (..., N, 6, T*C).
    """

    rank0: Array
    rank1: Array
    rank2: Array


@singledispatch
def frame_features(form: ClassifierForm, positions: Array, box: Array) -> FrameFeatures:
    """Neighbour moments of one frame, positions (N, 3) nm."""
    n = positions.shape[0]
    d = positions[:, None, :] - positions[None, :, :]
    d = d - box * jnp.round(d / box)
    self_pair = jnp.eye(n, dtype=bool)
    r2 = jnp.where(self_pair, 1.0, jnp.sum(d * d, -1))
    r = jnp.sqrt(r2)
    u = d / r[..., None]
    linked = np.zeros((n, n), bool)
    linked[tuple(np.array(form.linked, int).reshape(-1, 2).T)] = True
    near = (r < form.cutoff) & ~self_pair
    if form.types:
        near &= ~linked
    smooth = jnp.where(near, (1.0 - (jnp.minimum(r, form.cutoff) / form.cutoff) ** 2) ** 2, 0.0)
    width = (form.cutoff - form.inner) / form.channels
    centres = form.inner + width * (np.arange(form.channels, dtype=np.float32) + 0.5)
    h = smooth[..., None] * jnp.exp(-0.5 * ((r[..., None] - centres) / width) ** 2)
    tensor = jnp.stack([u[..., a] * u[..., b] - (a == b) / 3.0 for a, b in TENSOR], -1)
    basis = jnp.concatenate([jnp.ones((n, n, 1)), u, tensor], -1)
    if not form.types:
        moments = jnp.einsum("ijk,ijc->ikc", basis, h)
        return FrameFeatures(moments[:, 0], moments[:, 1:4], moments[:, 4:])
    moments = jnp.concatenate(
        [jnp.einsum("ijk,ijc->ikc", basis[:, sites], h[:, sites]) for sites in form.members], -1
    )
    ties = jnp.where(linked[..., None], u, 0.0)
    directions = jnp.stack([jnp.sum(ties[:, sites], 1) for sites in form.members], -1)
    rank1 = jnp.concatenate([moments[:, 1:4], directions], -1)
    return FrameFeatures(moments[:, 0], rank1, moments[:, 4:])


def frames_features(form: ClassifierForm, positions: Array, box: Array) -> FrameFeatures:
    """Features of the frames (T, N, 3) of one window."""
    return jax.vmap(lambda x: frame_features(form, x, box))(positions)


def displacements(positions: Array) -> Array:
    """Site displacements between frames, (..., T, N, 3) -> (..., T-1, N, 3), drift removed, nm."""
    steps = jnp.diff(positions, axis=-3)
    return steps - jnp.mean(steps, -2, keepdims=True)


@singledispatch
def assemble(
    form: ClassifierForm, frames: FrameFeatures, means: Array, box: Array
) -> WindowFeatures:
    """Join features of frames (..., T, N, C, ...) with displacements of means (..., T, N, 3)."""

    def join(x, axis):
        """(..., T, N, [k,] C) -> (..., N, [k,] T*C)"""
        x = jnp.moveaxis(x, axis, -2)
        return x.reshape((*x.shape[:-2], -1))

    steps = jnp.moveaxis(displacements(means), -3, -1)
    rank1 = jnp.concatenate([join(frames.rank1, -4), steps], -1)
    return WindowFeatures(join(frames.rank0, -3), rank1, join(frames.rank2, -4))


def window_features(
    form: ClassifierForm, positions: Array, means: Array, box: Array
) -> WindowFeatures:
    """Features of one window, positions (T, N, 3) nm, unwrapped, and the means (T, N, 3) whose
    displacements are seen."""
    return assemble(form, frames_features(form, positions, box), means, box)


@singledispatch
def windows_features(
    form: ClassifierForm, positions: Array, means: Array, box: Array
) -> WindowFeatures:
    """`window_features` of many windows (W, T, N, 3), one after the other."""
    return lax.map(lambda window: window_features(form, *window, box), (positions, means))


class Scale(NamedTuple):
    """Standardisation of the features, fixed on the all-atom data."""

    mean0: Array
    scale0: Array
    scale1: Array
    scale2: Array


def standard_scale(features: WindowFeatures, form: ClassifierForm) -> Scale:
    """Mean and root mean square of every feature over windows (W, N, ...) of the reference.

    Of all sites together, or of each type on its own and then of every site (N, ...) by its type.
    """
    if not form.types:
        return _standard_scale(features)
    of_types = [
        _standard_scale(jax.tree.map(lambda a, sites=sites: a[:, sites], features))
        for sites in form.members
    ]
    types = jnp.array(form.types)
    scale = Scale(*(jnp.stack(values)[types] for values in zip(*of_types, strict=True)))
    return scale._replace(scale1=scale.scale1[:, None], scale2=scale.scale2[:, None])


def _standard_scale(features: WindowFeatures) -> Scale:
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


class TypedDense(nn.Module):
    """A linear map with a kernel for every type of site.

    Of scalars (..., N, F), with a bias; or, without `use_bias`, of the components of vectors and
    tensors (..., N, K, F).
    """

    size: int
    types: tuple[int, ...]
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        types, count = jnp.array(self.types), max(self.types) + 1
        # each type is a layer of its own: it does not count in the fan-in
        start = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", batch_axis=0)
        kernel = self.param("kernel", start, (count, x.shape[-1], self.size))[types]
        if not self.use_bias:
            return jnp.einsum("...nkf,nfo->...nko", x, kernel)
        bias = self.param("bias", nn.initializers.zeros, (count, self.size))[types]
        return jnp.einsum("...nf,nfo->...no", x, kernel) + bias


class Classifier(nn.Module):
    """Scores (..., N) of the sites from standardised features; the window's score is their mean."""

    form: ClassifierForm

    @nn.compact
    def __call__(self, features: WindowFeatures) -> Array:
        form = self.form

        def mixture(x, size):
            if form.types:
                return TypedDense(size, form.types, use_bias=False)(x)
            return nn.Dense(size, use_bias=False)(x)

        if form.types:
            scalars = TypedDense(form.scalars, form.types)(features.rank0)
        else:
            scalars = nn.Dense(form.scalars)(features.rank0)
        vectors = mixture(features.rank1, form.vectors)
        tensors = mixture(features.rank2, form.tensors)
        vv = jnp.einsum("...ka,...kb->...ab", vectors, vectors)
        tt = jnp.einsum("...ka,...kb,k->...ab", tensors, tensors, TENSOR_WEIGHTS)
        upper = np.triu_indices(form.vectors), np.triu_indices(form.tensors)
        x = jnp.concatenate([scalars, vv[..., *upper[0]], tt[..., *upper[1]]], -1)
        for width in form.hidden:
            x = nn.silu(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False)(x)[..., 0]


@singledispatch
def network(form: ClassifierForm) -> nn.Module:
    """The classifier of that form."""
    return Classifier(form)


def gradient_penalty(classifier: Classifier, variables: dict, features: WindowFeatures) -> Array:
    """Mean over sites of |d score_i / d features_i|^2 (zero-centred; arXiv:1801.04406, R1 and R2).

    It is taken with respect to the standardised features, not the positions: no second derivative
    passes through distances, and the score stays bounded by how far the ensembles are apart.
    """
    gradient = jax.grad(lambda f: jnp.sum(classifier.apply(variables, f)))(features)
    sites = features.rank0.size // features.rank0.shape[-1]
    return sum(jnp.sum(g * g) for g in gradient) / sites


def classifier_loss(
    classifier: Classifier,
    variables: dict,
    generated: WindowFeatures,
    reference: WindowFeatures,
    penalty: float,
) -> Array:
    """<f>_Q - <f>_P + penalty/2 (R1 + R2), to be minimised over phi."""
    gap = jnp.mean(classifier.apply(variables, generated)) - jnp.mean(
        classifier.apply(variables, reference)
    )
    r1 = gradient_penalty(classifier, variables, reference)
    r2 = gradient_penalty(classifier, variables, generated)
    return gap + 0.5 * penalty * (r1 + r2)
