"""Separations of sites from their neighbours, by components: what the hot loops of forces take."""

import jax.numpy as jnp
from jax import Array, lax

from dynmatch.sites.box import components_of_image
from dynmatch.sites.topology import SiteTopology

FAR = 1e6
"""Squared distance, in any unit, of what is no neighbour: beyond every range."""
BLOCK = 512
"""Sites whose forces or lists are made at once: few enough for the processor's cache."""


def separations(
    positions: Array,
    box: Array,
    neighbours: Array | None,
    topology: SiteTopology | None = None,
    unit: float = 1.0,
    sites: Array | None = None,
) -> tuple[list[Array], Array]:
    """Minimum-image components of R_i - R_j, a list of three (K, N), and their square, over `unit`.

    Sites i are all, or `sites` (B,), N for none; then neighbours and results are (K, B). A site
    itself, empty slots, and sites that `topology` excludes are put beyond any cutoff.
    """
    n = positions.shape[0]
    own = positions if sites is None else positions[jnp.minimum(sites, n - 1)]
    d = []
    for k in range(3):
        delta = own[None, :, k] - at_neighbours(positions[:, k], neighbours)
        d.append(delta)
    d = [component / unit for component in components_of_image(d, box, jnp)]
    s = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    if neighbours is None:
        far = jnp.eye(n, dtype=bool)
    else:
        i = jnp.arange(n) if sites is None else sites
        far = (neighbours == n) | (neighbours == i[None, :])
    if topology is not None and len(topology.bonds):
        far |= _excluded(topology, neighbours, sites)
    return d, jnp.where(far, FAR, s)


def _excluded(topology: SiteTopology, neighbours: Array | None, sites: Array | None) -> Array:
    """(K, N): which neighbours are at most three bonds away."""
    if neighbours is None:
        linked = jnp.zeros((topology.n_sites,) * 2, bool)
        return linked.at[tuple(topology.linked.T)].set(True)
    excluded = jnp.zeros(neighbours.shape, bool)
    for row in topology.excluded:
        partner = row if sites is None else jnp.asarray(row)[jnp.minimum(sites, len(row) - 1)]
        excluded |= neighbours == partner
    return excluded


def at_neighbours(values: Array, neighbours: Array | None) -> Array:
    """Site values (N,) seen from each site at its neighbours: (K, N), or (N, 1) for all pairs."""
    if neighbours is None:
        return values[:, None]
    return values[jnp.minimum(neighbours, values.shape[0] - 1)]


def give(given: Array, push: Array, neighbours: Array) -> Array:
    """`given` (N, 3) and what neighbours (K, B) get by push (K, B, 3)."""
    return given.at[neighbours.reshape(-1)].add(push.reshape(-1, 3), mode="drop")


def in_blocks(function, given: Array, neighbours: Array) -> tuple[Array, Array]:
    """`function` of `BLOCK` sites at a time, which stay in a CPU's cache; of all of them at once on
    a GPU, which is idle between blocks.

    function(given, sites (B,), neighbours (K, B)) -> given, own (B, 3). Returns what all sites
    have `given` to others, and the `own` (N, 3).
    """
    n = neighbours.shape[1]

    def in_turns(given, neighbours):
        blocks = -(-n // BLOCK)
        filled = jnp.pad(neighbours, ((0, 0), (0, blocks * BLOCK - n)), constant_values=n)
        lists = jnp.moveaxis(filled.reshape(-1, blocks, BLOCK), 1, 0)
        sites = jnp.arange(blocks * BLOCK).reshape(blocks, BLOCK)
        given, own = lax.scan(lambda carry, one: function(carry, *one), given, (sites, lists))
        return given, own.reshape(-1, 3)[:n]

    def at_once(given, neighbours):
        return function(given, jnp.arange(n), neighbours)

    return lax.platform_dependent(given, neighbours, cpu=in_turns, default=at_once)
