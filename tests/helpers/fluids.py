"""Configurations and potentials for tests: nothing in them is zero, symmetric or physical."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dynmatch.potentials import potential


def jittered_lattice(rng, edge: float, spread: float, per_edge: int = 3) -> np.ndarray:
    """per_edge^3 sites (N, 3) nm around the nodes of a cubic lattice that fills a box of `edge`."""
    nodes = np.stack(np.meshgrid(*[np.arange(per_edge)] * 3), -1).reshape(-1, 3)
    sites = nodes * (edge / per_edge)
    return sites + rng.uniform(-spread, spread, sites.shape)


def random_parameters(form: potential.PotentialForm, seed: int, size: float = 1.0) -> dict:
    """Every parameter of the potential drawn from a normal distribution, times `size`."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(partial(potential.initialise, form), jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(size * rng.normal(size=x.shape)), shapes)
