"""Replicas and windows spread over JAX's devices: cores of a CPU and GPUs by the same code."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
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


def spread(function: Callable, mesh: Mesh, split: tuple[bool, ...], joined: Any = True) -> Callable:
    """`function`, each device of `mesh` computing its share of the leading axes.

    split  for each argument: is its leading axis shared out, or does every device see all of it?
    joined for what is returned, or each element of the tuple: are the leading axes put together, or
           is it the same on every device?

    With one device it is `function` itself.
    """
    if mesh.size == 1:
        return function

    def spec(shared):
        return P(BATCH) if shared else P()

    return jax.shard_map(
        function,
        mesh=mesh,
        in_specs=tuple(map(spec, split)),
        out_specs=jax.tree.map(spec, joined),
        check_vma=False,
    )


def total(tree: Any, mesh: Mesh) -> Any:
    """The sum over the devices of `mesh`, within a function that is `spread` over them."""
    return tree if mesh.size == 1 else lax.psum(tree, BATCH)


def mean(tree: Any, mesh: Mesh) -> Any:
    """The same for the mean."""
    return tree if mesh.size == 1 else lax.pmean(tree, BATCH)


def rolled(tree: Any, mesh: Mesh) -> Any:
    """Leading axes rolled by one over all devices, within a function that is `spread` over them."""
    onward = [(number, (number + 1) % mesh.size) for number in range(mesh.size)]

    def roll(a):
        if mesh.size == 1:
            return jnp.roll(a, 1, 0)
        return jnp.concatenate([lax.ppermute(a[-1:], BATCH, onward), a[:-1]])

    return jax.tree.map(roll, tree)


def placed(tree: Any, mesh: Mesh, split: bool) -> Any:
    """The arrays of `tree` where `spread` wants them: nothing is moved that is there already."""
    if mesh.size == 1:
        return tree
    return jax.device_put(tree, NamedSharding(mesh, P(BATCH) if split else P()))
