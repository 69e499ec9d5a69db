"""Replicas and windows spread over JAX's devices: cores of a CPU and GPUs by the same code."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

BATCH = "batch"


def devices_for(count: int) -> Mesh:
    """As many of JAX's devices as share `count` replicas or windows evenly, one at least."""
    devices = jax.devices()
    number = max(n for n in range(1, len(devices) + 1) if count % n == 0)
    return Mesh(np.array(devices[:number]), (BATCH,))


def spread(function: Callable, mesh: Mesh, split: tuple[bool, ...]) -> Callable:
    """`function`, each device of `mesh` computing its share of the leading axes.

    split  for each argument: is its leading axis shared out, or does every device see all of it?
    The leading axes of what is returned are put together. With one device it is `function` itself.
    """
    if mesh.size == 1:
        return function
    specs = tuple(P(BATCH) if each else P() for each in split)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=P(BATCH), check_vma=False)


def spread_sum(function: Callable, mesh: Mesh, split: tuple[bool, ...]) -> Callable:
    """As `spread`, for a function whose result is a sum over the leading axes."""
    if mesh.size == 1:
        return function
    specs = tuple(P(BATCH) if each else P() for each in split)

    def share(*arguments):
        return lax.psum(function(*arguments), BATCH)

    return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False)


def placed(tree: Any, mesh: Mesh, split: bool) -> Any:
    """The arrays of `tree` where `spread` wants them: nothing is moved that is there already."""
    if mesh.size == 1:
        return tree
    return jax.device_put(tree, NamedSharding(mesh, P(BATCH) if split else P()))
