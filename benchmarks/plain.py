"""The roll-out and its tangents without any of the tricks: what the library is checked and timed
against.

All pairs; the spline and the radial functions evaluated for every pair at every step; forces by
reverse-mode, tangents by forward-mode differentiation of the whole window.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.potentials.pair import Curve
from dynmatch.potentials.sum import Potential
from dynmatch.potentials.three_body import RADIAL_DEGREE, SiteEnergy


def energy(potential: Potential, parameters: dict, positions: Array, box: Array) -> Array:
    """Energy as `dynmatch.potentials` has it, for one type of site, kJ/mol, of positions (N, 3) in
    a box (3,), nm."""
    curve, form = potential.term("pair").curve(0), potential.term("three_body")
    d = positions[:, None] - positions[None]
    d = d - box * jnp.round(d / box)
    apart = ~jnp.eye(len(positions), dtype=bool)
    # the root's derivative at 0 is infinite: no zeros may reach it
    r = jnp.sqrt(jnp.where(apart, jnp.sum(d * d, -1), 1.0))
    pairs = _pair(curve, parameters["pair"][0], r)
    pair = 0.5 * jnp.sum(jnp.where(apart & (r < curve.cutoff), pairs, 0.0))
    near = apart & (r < form.cutoff)
    x = d / form.cutoff
    h = jnp.where(near, _radial(parameters["radial"][0], (r / form.cutoff) ** 2), 0.0)
    invariants, tensor = [jnp.sum(hc, 1) for hc in h], h[..., None]
    for rank in range(form.degree + 1):
        moments = jnp.sum(tensor, 2)
        for a in range(form.radial_channels):
            for b in range(a, form.radial_channels):
                invariants.append(jnp.sum(moments[a] * moments[b], -1))
        if rank < form.degree:
            tensor = (tensor[..., :, None] * x[None, :, :, None, :]).reshape((*h.shape, -1))
    (network,) = parameters["network"].values()
    sites = SiteEnergy(form.hidden).apply(network, jnp.stack(invariants))
    return form.thermal_energy * (pair + jnp.sum(sites))


def _pair(curve: Curve, coefficients: Array, r: Array) -> Array:
    """u(r) over kB T: every basis function at every distance, and the core."""
    low = 0.6 * curve.core
    spacing = (curve.cutoff - low) / curve.basis
    centres = low + spacing * (jnp.arange(curve.basis) - 1)
    t = jnp.abs(r[..., None] - centres) / spacing
    spline = jnp.where(t < 1, 2 / 3 - t**2 + 0.5 * t**3, jnp.where(t < 2, (2 - t) ** 3 / 6, 0.0))
    y = curve.core / curve.cutoff
    core = (curve.core / r) ** 12 - y**12 + 12 * y**12 / curve.cutoff * (r - curve.cutoff)
    return spline @ coefficients + core


def _radial(coefficients: Array, s: Array) -> Array:
    """h_c(s) (channels, ...): (1 - s)^3 times a polynomial in Bernstein form."""
    n = RADIAL_DEGREE
    terms = [math.comb(n, k) * s**k * (1 - s) ** (n - k) for k in range(n + 1)]
    return jnp.einsum("ck,k...->c...", coefficients, jnp.stack(terms)) * (1 - s) ** 3


def force(potential: Potential, parameters: dict, positions: Array, box: Array) -> Array:
    """Forces (N, 3), kJ/mol/nm."""
    return -jax.grad(energy, 2)(potential, parameters, positions, box)


def window(plan: RolloutPlan, values: dict, parameters: dict, state) -> Array:
    """The mean positions (T, N, 3) of one window, from the `state` it continues, forces fixed."""
    box = jnp.asarray(plan.box)
    coefficients = plan.equation.prepare(values, plan.kT, plan.types)

    def forces(positions):
        return lax.stop_gradient(force(plan.potential, parameters, positions, box))

    def step(state, _):
        state = plan.equation.step(coefficients, forces, state)
        return state, state.position

    _, visited = lax.scan(step, state, length=int(plan.frame_steps[-1]))
    visited = jnp.concatenate([state.position[None], visited])
    return jnp.stack(
        [jnp.mean(visited[n - plan.mean_steps + 1 : n + 1], 0) for n in plan.frame_steps]
    )


def tangents(plan: RolloutPlan, values: dict, parameters: dict, state) -> Array:
    """What the library's roll-out carries for one window, (P, T, N, 3), of values of one type."""

    def moved(changes):
        changed = {name: values[name] * jnp.exp(changes[name]) for name in plan.learned}
        begun = plan.equation.start_tangents(state)
        shifted = {
            field: getattr(state, field) + changes[name] * along
            for (field, name), along in begun.items()
        }
        return window(plan, values | changed, parameters, state.set(**shifted))

    none = {name: jnp.zeros(()) for name in plan.learned}
    slopes = jax.jacfwd(moved)(none)
    return jnp.stack([slopes[name] for name in plan.learned])
