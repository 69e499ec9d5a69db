"""The roll-out and its gradient without any of the tricks: what the library is checked and timed
against.

All pairs; the spline and the radial functions evaluated for every pair at every step; forces and
gradients by reverse-mode differentiation.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

from dynmatch.dynamics import dynamics as engine
from dynmatch.dynamics.dynamics import Dynamics
from dynmatch.dynamics.rollout import Frames, RolloutPlan
from dynmatch.potentials.potential import RADIAL_DEGREE, PotentialForm, SiteEnergy


def energy(form: PotentialForm, parameters: dict, positions: Array, box: Array) -> Array:
    """Energy as `dynmatch.potentials` has it, kJ/mol, of positions (N, 3) in a box (3,), nm."""
    d = positions[:, None] - positions[None]
    d = d - box * jnp.round(d / box)
    apart = ~jnp.eye(len(positions), dtype=bool)
    # the root's derivative at 0 is infinite: no zeros may reach it
    r = jnp.sqrt(jnp.where(apart, jnp.sum(d * d, -1), 1.0))
    pair = 0.5 * jnp.sum(jnp.where(apart & (r < form.cutoff), _pair(form, parameters, r), 0.0))
    near = apart & (r < form.three_body_cutoff)
    x = d / form.three_body_cutoff
    h = jnp.where(near, _radial(parameters["radial"], (r / form.three_body_cutoff) ** 2), 0.0)
    invariants, tensor = [jnp.sum(hc, 1) for hc in h], h[..., None]
    for rank in range(form.degree + 1):
        moments = jnp.sum(tensor, 2)
        for a in range(form.radial_channels):
            for b in range(a, form.radial_channels):
                invariants.append(jnp.sum(moments[a] * moments[b], -1))
        if rank < form.degree:
            tensor = (tensor[..., :, None] * x[None, :, :, None, :]).reshape((*h.shape, -1))
    sites = SiteEnergy(form.hidden).apply(parameters["network"], jnp.stack(invariants))
    return form.thermal_energy * (pair + jnp.sum(sites))


def _pair(form: PotentialForm, parameters: dict, r: Array) -> Array:
    """u(r) over kB T: every basis function at every distance, and the core."""
    coefficients = parameters["pair"]["params"]["coefficients"]
    low = 0.6 * form.core
    spacing = (form.cutoff - low) / form.pair_basis
    centres = low + spacing * (jnp.arange(form.pair_basis) - 1)
    t = jnp.abs(r[..., None] - centres) / spacing
    spline = jnp.where(t < 1, 2 / 3 - t**2 + 0.5 * t**3, jnp.where(t < 2, (2 - t) ** 3 / 6, 0.0))
    y = form.core / form.cutoff
    core = (form.core / r) ** 12 - y**12 + 12 * y**12 / form.cutoff * (r - form.cutoff)
    return spline @ coefficients + core


def _radial(coefficients: Array, s: Array) -> Array:
    """h_c(s) (channels, ...): (1 - s)^3 times a polynomial in Bernstein form."""
    n = RADIAL_DEGREE
    terms = [math.comb(n, k) * s**k * (1 - s) ** (n - k) for k in range(n + 1)]
    return jnp.einsum("ck,k...->c...", coefficients, jnp.stack(terms)) * (1 - s) ** 3


def force(form: PotentialForm, parameters: dict, positions: Array, box: Array) -> Array:
    """Forces (N, 3), kJ/mol/nm."""
    return -jax.grad(energy, 2)(form, parameters, positions, box)


def window(plan: RolloutPlan, dynamics: Dynamics, parameters: dict, state) -> Frames:
    """The frames of one window of a single lag, from the `state` it continues.

    Differentiable, with the same meaning as `dynmatch.dynamics.rollout`: through the last
    `plan.gradient_steps` steps, damped.
    """
    box = jnp.asarray(plan.box)
    damping = jnp.exp(-plan.time_step / plan.damping_time)
    steps = int(plan.frame_steps[-1]) - plan.gradient_steps

    def advance(dynamics, parameters, state, count):
        def forces(positions):
            return force(plan.form, parameters, positions, box)

        generator = engine.generator(plan.kind, forces, plan.time_step, plan.kT)

        @jax.checkpoint
        def step(state, _):
            state = generator.step(dynamics, jax.tree.map(lambda x: _damped(damping, x), state))
            return state, state.position

        return lax.scan(step, state, length=count)

    held = lax.stop_gradient((dynamics, parameters, state))
    middle, early = advance(*held, steps)
    _, late = advance(dynamics, parameters, lax.stop_gradient(middle), plan.gradient_steps)
    visited = jnp.concatenate([state.position[None], lax.stop_gradient(early), late])
    positions = visited[plan.frame_steps]
    if plan.mean_steps == 1:
        return Frames(positions, positions)
    means = [jnp.mean(visited[n - plan.mean_steps + 1 : n + 1], 0) for n in plan.frame_steps]
    return Frames(positions, jnp.stack(means))


def _damped(damping: Array, x: Array) -> Array:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    return damping * x + (1 - damping) * lax.stop_gradient(x)


def gradient(
    plan: RolloutPlan,
    dynamics: Dynamics,
    parameters: dict,
    state,
    for_dynamics: Frames,
    for_potential: Frames,
) -> tuple[Dynamics, dict]:
    """What `dynmatch.dynamics.rollout.pull_back` gives for one window; cotangents (T, N, 3)."""
    _, pull = jax.vjp(lambda d, p: window(plan, d, p, state), dynamics, parameters)
    return pull(for_dynamics)[0], pull(for_potential)[1]
