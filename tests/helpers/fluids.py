"""Configurations and potentials for tests: nothing in them is zero, symmetric or physical."""

import jax
import jax.numpy as jnp
import numpy as np

from dynmatch.potentials import bonded, pair, three_body
from dynmatch.potentials.base import type_pairs
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import SiteTopology, independent_sites


def jittered_lattice(rng, edge: float, spread: float, per_edge: int = 3) -> np.ndarray:
    """per_edge^3 sites (N, 3) nm around the nodes of a cubic lattice that fills a box of `edge`."""
    nodes = np.stack(np.meshgrid(*[np.arange(per_edge)] * 3), -1).reshape(-1, 3)
    sites = nodes * (edge / per_edge)
    return sites + rng.uniform(-spread, spread, sites.shape)


def fluid(
    names: tuple[str, ...] = ("W",),
    cores: tuple[float, ...] | float = 0.25,
    *,
    cutoff: float = 0.6,
    three_body_cutoff: float = 0.45,
    kT: float = 2.5,
    basis: int = 24,
    channels: int = 1,
    degree: int = 3,
    hidden: tuple[int, ...] = (),
    kinds: tuple[bonded.Kind, ...] = (),
) -> Potential:
    """A pair term, a three-body term and, where `kinds` are given, bonded terms; nm, kJ/mol.

    `cores` are of every pair of types, or one of them all.
    """
    pairs = len(type_pairs(len(names)))
    cores = (cores,) * pairs if isinstance(cores, float) else cores
    terms = (
        pair.Form(names, cutoff, kT, basis, cores),
        three_body.Form(names, three_body_cutoff, kT, channels, degree, hidden),
    )
    return Potential(terms + ((bonded.Form(kinds),) if kinds else ()), names, kT)


def random_parameters(potential: Potential, seed: int, size: float = 1.0) -> dict:
    """Every parameter of the potential drawn from a normal distribution, times `size`."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(potential.initialise, jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(size * rng.normal(size=x.shape)), shapes)


def without(group: str, parameters: dict) -> dict:
    """The same with zeros for the parameters of one group."""
    return parameters | {group: jax.tree.map(jnp.zeros_like, parameters[group])}


def unbonded(names: str) -> SiteTopology:
    """Sites of those one-letter types, each a molecule."""
    return independent_sites(names, "R")


def bonded_sites(names: str, bonds) -> SiteTopology:
    """One residue of sites of those one-letter types."""
    return SiteTopology(tuple(names), (0,) * len(names), ("M",), tuple(bonds))


def lists_within(positions: np.ndarray, box: np.ndarray, reach: float, spare: int) -> jax.Array:
    """Indices (K, N) of the sites within `reach`, and at least `spare` empty slots marked N."""
    d = positions[:, None] - positions[None]
    d -= box * np.round(d / box)
    near = (np.linalg.norm(d, axis=-1) < reach) & ~np.eye(len(positions), dtype=bool)
    full = np.full((near.sum(1).max() + spare, len(positions)), len(positions))
    for site, row in enumerate(near):
        full[: row.sum(), site] = np.flatnonzero(row)
    return jnp.asarray(full)
