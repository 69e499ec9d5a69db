"""Neighbour lists for simulations of many steps.

JAX-MD sorts the sites into cells; from the sites in the cells around it, each site picks its
neighbours here. JAX-MD's own lists do the same, ten times slower on a CPU: there, a running sum
along the long axis and a scatter of every candidate take most of the time.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from dynmatch.potentials.separations import BLOCK, separations
from dynmatch.potentials.sum import Potential
from dynmatch.runtime.jax_md import partition
from dynmatch.sites.box import (
    components_from_faces,
    components_of_image,
    from_faces,
    heights,
    wrap,
)

SKIN = 0.2
"""Range of the neighbour lists beyond the cutoff, nm, where nothing else is said."""
MARGIN = 1.2
"""For neighbours, and for sites in a cell, over the most there are at the start."""


class Capacity(NamedTuple):
    """Sizes of the lists: neighbours of each term (None for all pairs), and sites in a cell (None
    where every site is a candidate)."""

    lists: tuple[int | None, ...]
    cell: int | None


class NeighbourLists:
    """Neighbours for a batch of replicas, up to `skin` (nm) beyond the ranges of the terms.

    One search, for the longest of the lists, serves all terms: the neighbours of the others are
    picked from those. A potential without ranges has no lists.
    """

    def __init__(self, potential: Potential, box: np.ndarray, n_sites: int, skin: float = SKIN):
        self._given, self._box = np.asarray(box, np.float64), jnp.asarray(box, jnp.float32)
        self._reaches = tuple(
            term.reach + skin if term.reach and n_sites > term.all_pairs_up_to else None
            for term in potential.terms
        )
        self._longest = max((reach for reach in self._reaches if reach), default=0.0)
        self._cells = None
        high = heights(self._given)
        if self._longest and np.min(high) >= 3 * self._longest:
            self._cells = partition.cell_list(high, self._longest, MARGIN)

    def capacity(self, positions: Array, growths: int) -> Capacity:
        """Room for the neighbours at positions (replicas, N, 3), and for more with each of the
        `growths`."""
        if not self._longest:
            return Capacity(self._reaches, None)
        n = positions.shape[1]
        wrapped = [wrap(x, self._box, jnp) for x in positions]
        more = MARGIN ** (1 + growths)
        cell = None
        if self._cells is not None:
            most = max(self._cells.allocate(self._in_cells(x)).cell_capacity for x in wrapped)
            cell = math.ceil(most * MARGIN**growths)
            if 27 * cell >= n:
                cell = None

        def size(reach):
            most = max(self._most(x, reach, cell) for x in wrapped)
            return min(n, max(1, math.ceil(more * most)))

        return Capacity(tuple(reach and size(reach) for reach in self._reaches), cell)

    def update(self, capacity: Capacity, positions: Array) -> tuple[tuple, Array]:
        """Lists (replicas, K, N) of each term at `positions`, and whether they had room for all
        neighbours."""
        if not self._longest:
            return self._reaches, jnp.bool_(True)

        def one(x):
            x = wrap(x, self._box, jnp)
            sizes = dict(zip(self._reaches, capacity.lists, strict=True))
            index, fits = self._search(x, capacity.cell, sizes[self._longest])
            chosen = {None: None, self._longest: index}
            if sizes.keys() - chosen.keys():
                _, s = separations(x, self._box, index)
            for reach in sizes.keys() - chosen.keys():
                row, enough = _chosen_first(s < reach**2, sizes[reach])
                chosen[reach] = _or_empty(index, row, len(x))
                fits &= enough
            return tuple(chosen[reach] for reach in self._reaches), fits

        near, fits = jax.vmap(one)(positions)
        return near, jnp.all(fits)

    def _in_cells(self, x: Array) -> Array:
        """Positions x (N, 3) in the box as the cells have them."""
        return from_faces(x, self._given, jnp)

    def _most(self, x: Array, reach: float, cell: int | None) -> int:
        """The most neighbours within `reach` that a site at x (N, 3) has."""
        candidates, _ = self._candidates(x, cell)

        @jax.jit
        def most(sites):
            return jnp.max(jnp.sum(self._within(x, sites, *candidates(sites), reach), 1))

        return max(int(most(jnp.asarray(sites))) for sites in _blocks(len(x)))

    def _search(self, x: Array, cell: int | None, count: int) -> tuple[Array, Array]:
        """Neighbours (count, N) of sites at x (N, 3), and whether there was room for all."""
        n = x.shape[0]
        candidates, fits = self._candidates(x, cell)

        def search(sites):
            index, there = candidates(sites)
            chosen = self._within(x, sites, index, there, self._longest)
            row, fits = _chosen_first(chosen.T, count)
            index = jnp.broadcast_to(index, chosen.shape)
            return _or_empty(index.T, row, n), fits

        def in_turns():
            picked, enough = lax.map(search, jnp.asarray(_blocks(n)))
            return jnp.moveaxis(picked, 0, 1).reshape(count, -1)[:, :n], jnp.all(enough)

        # blocks stay in a CPU's cache; a GPU is idle between them
        picked, enough = lax.platform_dependent(cpu=in_turns, default=lambda: search(jnp.arange(n)))
        return picked, fits & enough

    def _candidates(self, x: Array, cell: int | None):
        """A function from sites (B,) to those that may be their neighbours, (B, C) or (1, C), and
        the components of their positions, three of them; and whether the cells had room.

        An index of N marks an empty slot.
        """
        n = x.shape[0]
        if cell is None:
            everybody = jnp.arange(n)[None, :], [x[None, :, k] for k in range(3)]
            return lambda sites: everybody, jnp.bool_(True)
        cells = self._cells.update(self._in_cells(x), cell)
        shape = cells.id_buffer.shape[:3]
        strides = np.array([1, shape[2], shape[2] * shape[1]])
        shifts = np.stack(np.meshgrid(*3 * [[-1, 0, 1]]), -1).reshape(-1, 3)
        ids = cells.id_buffer.reshape(-1, cell)
        components = [cells.position_buffer[..., k].reshape(-1, cell) for k in range(3)]
        components = components_from_faces(components, self._given)

        def around(sites):
            own = cells.particle_cell_id[jnp.minimum(sites, n - 1)]
            near = jnp.mod(own[:, None] + shifts, np.array(shape[::-1])) @ strides
            in_rows = len(sites), 27 * cell
            return ids[near].reshape(in_rows), [c[near].reshape(in_rows) for c in components]

        return around, ~cells.did_buffer_overflow

    def _within(self, x: Array, sites: Array, index: Array, there: list, reach: float) -> Array:
        """Which candidates are within `reach` of the sites (B,), and not a site itself: (B, C)."""
        n = x.shape[0]
        own = x[jnp.minimum(sites, n - 1)]
        d = [there[k] - own[:, None, k] for k in range(3)]
        s = sum(x**2 for x in components_of_image(d, self._box, jnp))
        sites = sites[:, None]
        return (s < reach**2) & (index != sites) & (index < n) & (sites < n)


def _blocks(n: int) -> np.ndarray:
    """Sites 0 ... n - 1 in blocks (blocks, B) that search at once, filled up with n."""
    size = min(n, BLOCK)
    blocks = math.ceil(n / size)
    sites = np.arange(blocks * size)
    return np.where(sites < n, sites, n).reshape(blocks, size)


def _chosen_first(chosen: Array, room: int) -> tuple[Array, Array]:
    """Rows (room, B) of the first entries of `chosen` (C, B) that are true, C where there are no
    more; and whether there was room for all."""
    rows, columns = chosen.shape
    # a scan over rows, and a bisection in what it gives, are ten times faster on a CPU than a
    # cumulative sum and a scatter; on a GPU every row of the scan is a program of its own
    rank = lax.platform_dependent(
        chosen.astype(jnp.int32), cpu=_running_sum, default=partial(jnp.cumsum, axis=0)
    )
    total = rank[-1]
    wanted = jnp.arange(1, room + 1)[:, None]
    column = jnp.arange(columns)
    low, high = jnp.zeros((room, columns), jnp.int32), jnp.full((room, columns), rows)
    for _ in range(rows.bit_length()):
        middle = (low + high) // 2
        behind = rank[jnp.minimum(middle, rows - 1), column] < wanted
        low, high = jnp.where(behind, middle + 1, low), jnp.where(behind, high, middle)
    return jnp.minimum(low, rows), jnp.all(total <= room)


def _running_sum(rows: Array) -> Array:
    """The sum over all rows up to each one, of `rows` (C, B)."""

    def count(before, row):
        after = before + row
        return after, after

    return lax.scan(count, jnp.zeros(rows.shape[1], rows.dtype), rows)[1]


def _or_empty(index: Array, row: Array, n: int) -> Array:
    """Entries (room, B) of index (C, B) in those rows, and n below the last row."""
    last = index.shape[0] - 1
    return jnp.where(row <= last, index[jnp.minimum(row, last), jnp.arange(index.shape[1])], n)
