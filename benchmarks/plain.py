"""The roll-out and its gradients without any of the tricks: what the library is checked and timed
against.

All pairs; the spline and the radial functions evaluated for every pair at every step; forces and
gradients by reverse-mode differentiation.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from dynmatch.dynamics.rollout import Frames, RolloutPlan
from dynmatch.potentials import pair, three_body
from dynmatch.potentials.sum import Potential
from dynmatch.potentials.three_body import RADIAL_DEGREE, SiteEnergy


def energy(potential: Potential, parameters: dict, positions: Array, box: Array) -> Array:
    """Energy as `dynmatch.potentials` has it, kJ/mol, of positions (N, 3) in a box (3,), nm, of
    sites of one type."""
    two, three = potential.term("pair"), potential.term("three_body")
    d = positions[:, None] - positions[None]
    d = d - box * jnp.round(d / box)
    apart = ~jnp.eye(len(positions), dtype=bool)
    # the root's derivative at 0 is infinite: no zeros may reach it
    r = jnp.sqrt(jnp.where(apart, jnp.sum(d * d, -1), 1.0))
    u = _pair(two, parameters["pair"][0], r)
    pairs = 0.5 * jnp.sum(jnp.where(apart & (r < two.cutoff), u, 0.0))
    sites = _site_energies(three, parameters, d, r, apart & (r < three.cutoff))
    return potential.thermal_energy * (pairs + jnp.sum(sites))


def _pair(form: pair.Form, coefficients: Array, r: Array) -> Array:
    """u(r) over kB T: every basis function at every distance, and the core."""
    (core,) = form.cores
    low = 0.6 * core
    spacing = (form.cutoff - low) / form.basis
    centres = low + spacing * (jnp.arange(form.basis) - 1)
    t = jnp.abs(r[..., None] - centres) / spacing
    spline = jnp.where(t < 1, 2 / 3 - t**2 + 0.5 * t**3, jnp.where(t < 2, (2 - t) ** 3 / 6, 0.0))
    y = core / form.cutoff
    return spline @ coefficients + (core / r) ** 12 - y**12 * (1 - 12 * (r / form.cutoff - 1))


def _site_energies(form: three_body.Form, parameters: dict, d: Array, r: Array, near: Array):
    """E(rho) over kB T of every site (N,)."""
    x = d / form.cutoff
    h = jnp.where(near, _radial(parameters["radial"][0], (r / form.cutoff) ** 2), 0.0)
    invariants, tensor = [jnp.sum(hc, 1) for hc in h], h[..., None]
    for rank in range(form.degree + 1):
        moments = jnp.sum(tensor, 2)
        for a in range(form.channels):
            for b in range(a, form.channels):
                invariants.append(jnp.sum(moments[a] * moments[b], -1))
        if rank < form.degree:
            tensor = (tensor[..., :, None] * x[None, :, :, None, :]).reshape((*h.shape, -1))
    (network,) = parameters["network"].values()
    return SiteEnergy(form.hidden).apply(network, jnp.stack(invariants))


def _radial(coefficients: Array, s: Array) -> Array:
    """h_c(s) (channels, ...): (1 - s)^3 times a polynomial in Bernstein form."""
    n = RADIAL_DEGREE
    terms = [math.comb(n, k) * s**k * (1 - s) ** (n - k) for k in range(n + 1)]
    return jnp.einsum("ck,k...->c...", coefficients, jnp.stack(terms)) * (1 - s) ** 3


def force(potential: Potential, parameters: dict, positions: Array, box: Array) -> Array:
    """Forces (N, 3), kJ/mol/nm."""
    return -jax.grad(energy, 2)(potential, parameters, positions, box)


def window(plan: RolloutPlan, values: dict, parameters: dict, state) -> Frames:
    """The frames of one window from the `state` it continues, without tangents.

    Differentiable with respect to values and state, the forces held fixed.
    """
    box = jnp.asarray(plan.box)
    coefficients = plan.equation.prepare(values, plan.kT, plan.types)

    def forces(positions):
        return force(plan.potential, parameters, lax.stop_gradient(positions), box)

    @jax.checkpoint
    def step(state, _):
        state = plan.equation.step(coefficients, forces, state)
        return state, state.position

    _, later = lax.scan(step, state, length=int(plan.frame_steps[-1]))
    visited = jnp.concatenate([state.position[None], later])
    positions = visited[plan.frame_steps]
    if plan.mean_steps == 1:
        return Frames(positions, positions, None)
    means = [jnp.mean(visited[n - plan.mean_steps + 1 : n + 1], 0) for n in plan.frame_steps]
    return Frames(positions, jnp.stack(means), None)


def gradient(
    plan: RolloutPlan, values: dict, parameters: dict, state, cotangents: Array
) -> tuple[dict, dict]:
    """What an update takes of one window.

    Gradients of sum(means * cotangents) with respect to the logarithms of the values
    `plan.learned`, the forces held fixed, and of the energies of the first frame and the last with
    respect to the parameters of the potential. cotangents (T, N, 3).
    """

    def moved(learned, moving):
        given = values | {name: values[name] * jnp.exp(by) for name, by in learned.items()}
        frames = window(plan, given, parameters, state.set(**moving))
        return frames.means, frames.positions

    none = {name: jnp.zeros_like(values[name]) for name in plan.learned}
    moving = {field: getattr(state, field) for field in plan.equation.moving}
    _, pull, positions = jax.vjp(moved, none, moving, has_aux=True)
    along, before = pull(cotangents)
    # momenta of a state at equilibrium depend on the values
    for (field, name), tangent in plan.equation.start_tangents(state).items():
        if name in along:
            along[name] = along[name] + jnp.sum(before[field] * tangent)

    def energies(parameters):
        box = jnp.asarray(plan.box)
        ends = (positions[0], positions[-1])
        return sum(energy(plan.potential, parameters, x, box) for x in ends)

    return along, jax.grad(energies)(parameters)
