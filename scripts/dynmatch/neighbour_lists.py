"""Neighbour lists for simulations of many steps."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax_md import partition, space

from dynmatch import potential
from dynmatch.errors import DynmatchError
from dynmatch.internal_potential import InternalForm
from dynmatch.molecular import MolecularForm
from dynmatch.potential import Neighbours, PotentialForm

ALL_PAIRS_UP_TO = 128
"""Number of sites up to which the pair term takes all pairs, which is cheaper than a list."""
SKIN = 0.2
"""Range of the neighbour lists beyond the cutoff, nm."""
ROOM = 1.25
"""For neighbours in the three-body term, over the most there are at the start."""


def lists_for(form: PotentialForm | MolecularForm | InternalForm, box: np.ndarray, n_sites: int):
    """`NeighbourLists`, or `NoLists` for a potential that needs none.

    Raises DynmatchError when a form that knows the type of every site is of another number of them.
    """
    if form.types is not None and len(form.types) != n_sites:
        raise DynmatchError(
            f"the model is one of {len(form.types)} sites of given types, and here are "
            f"{n_sites}; take configurations of the system it was trained on"
        )
    return NoLists() if isinstance(form, InternalForm) else NeighbourLists(form, box, n_sites)


class NoLists:
    """Stands for `NeighbourLists` where there is nothing to list."""

    template = None
    room = 0

    def allocate(self, positions: Array, grown: int) -> None:
        """Nothing to do."""

    def update(self, template: None, room: int, positions: Array) -> tuple[Neighbours, Array]:
        """No lists, which is always enough."""
        return potential.ALL_PAIRS, jnp.bool_(True)


class NeighbourLists:
    """Neighbours for a batch of replicas: JAX-MD's lists, by cells where they fit.

    For large N one search serves both terms: the neighbours of the three-body term are picked
    from those of the pair term.
    """

    def __init__(self, form: PotentialForm | MolecularForm, box: np.ndarray, n_sites: int):
        self._box = jnp.asarray(box, jnp.float32)
        self._inner = form.three_body_cutoff + SKIN
        self._large = n_sites > ALL_PAIRS_UP_TO
        displacement, _ = space.periodic(self._box)
        reach = form.cutoff + SKIN if self._large else self._inner
        self._kind = partition.neighbor_list(
            displacement, self._box, reach, format=partition.NeighborListFormat.Dense
        )
        self.template = None
        self.room = 0

    def allocate(self, positions: Array, grown: int) -> None:
        """Room for the neighbours at positions (replicas, N, 3), and for more each time it has
        `grown`."""
        wrapped = jnp.mod(positions, self._box)
        needed = max(self._kind.allocate(x).idx.shape[1] for x in wrapped)
        extra = grown * (needed // 4 + 1)
        self.template = max(
            (self._kind.allocate(x, extra) for x in wrapped), key=lambda list_: list_.idx.shape[1]
        )
        if self._large:
            found = [self._near(x, self.template.update(x).idx.T) for x in wrapped]
            most = max(int(jnp.max(jnp.sum(near, 0))) for near in found)
            self.room = math.ceil(ROOM ** (1 + grown) * most)

    def update(
        self, template: partition.NeighborList, room: int, positions: Array
    ) -> tuple[Neighbours, Array]:
        """Lists (replicas, K, N) at `positions`, and whether they had room for all neighbours.

        template  a JAX-MD list of the right size
        room      for three-body neighbours, where those are picked from the neighbours of a pair
        """

        def one(x):
            x = jnp.mod(x, self._box)
            list_ = template.update(x)
            index, fits = list_.idx.T, ~list_.did_buffer_overflow
            if not self._large:
                return Neighbours(None, index), fits
            inner, enough = _picked(index, self._near(x, index), room)
            return Neighbours(index, inner), fits & enough

        near, fits = jax.vmap(one)(positions)
        return near, jnp.all(fits)

    def _near(self, x: Array, index: Array) -> Array:
        """Which neighbours (K, N) of sites at x (N, 3) are in the range of the three-body term."""
        _, s = potential._separations(x, self._box, index)
        return s < self._inner**2


def _picked(index: Array, chosen: Array, room: int) -> tuple[Array, Array]:
    """The `chosen` (K, N) entries of a neighbour list `index` (K, N), moved up: (room, N).

    Empty slots hold N. Also whether there was room for all.
    """
    n = index.shape[1]
    rank = jnp.cumsum(chosen, 0)
    slot = jnp.where(chosen, rank - 1, room)
    picked = jnp.full((room, n), n, index.dtype)
    picked = picked.at[slot, jnp.arange(n)].set(index, mode="drop")
    return picked, jnp.all(rank[-1] <= room)
