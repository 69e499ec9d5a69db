"""The reference as the game sees it, and the state of the game."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from dynmatch.sites.windows import Windows
from dynmatch.training.classifiers.base import Form, FrameFeatures, Scale, WindowFeatures


class Reference(NamedTuple):
    """The reference on the device: features of every frame, positions, their means over the time
    before, grid steps to the frames of a window, and window starts."""

    frames: FrameFeatures
    positions: Array
    means: Array
    offsets: Array
    starts: Array
    held_out: Array


class GameState(NamedTuple):
    """Everything an update changes; `parameters` = {"potential", "dynamics": ln values}."""

    parameters: dict
    averaged: dict
    moments: optax.OptState
    classifier: dict
    classifier_moments: optax.OptState
    replicas: tuple
    key: Array
    update: Array
    score_gap: Array
    noise: Array


def prepare_reference(form: Form, data: Windows) -> tuple[Reference, Scale]:
    """Features of all reference frames, and their standardisation."""
    box = jnp.asarray(data.box, jnp.float32)
    positions = jnp.asarray(data.frames)
    features = jax.jit(
        lambda frames: lax.map(lambda x: form.frame_features(x, box), frames, batch_size=8)
    )(positions)
    reference = Reference(
        features,
        positions,
        jnp.asarray(data.means),
        jnp.asarray(data.offsets),
        jnp.asarray(data.starts),
        jnp.asarray(data.held_out),
    )
    some = data.starts[:: max(1, len(data.starts) // 256)]
    windows = reference_windows(form, reference, jnp.asarray(some), box)
    return reference, form.standard_scale(windows)


def reference_windows(
    form: Form, reference: Reference, starts: Array, box: Array
) -> WindowFeatures:
    """Features, not standardised, of the windows that start at grid indices `starts` (W,)."""
    index = starts[:, None] + reference.offsets[None, :]
    frames = jax.tree.map(lambda a: a[index], reference.frames)
    return form.assemble(frames, reference.means[index], box)
