r"""Multiscale coarse-graining: the potential whose forces are nearest to the projected ones.

    chi^2(theta) = < |F_theta(M(r)) - f(r)|^2 > / 3N

(Izvekov and Voth 2005, doi:10.1021/jp044629q; Noid et al. 2008, doi:10.1063/1.2938860), f the sum
of the atomic forces on each site. With infinite data its minimum is the best approximation of the
potential of mean force that the form of the potential holds.
"""

import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random

from dynmatch.bottom_up.relative_entropy import StartRates, optimiser
from dynmatch.errors import DynmatchError
from dynmatch.potentials import potential
from dynmatch.sites.trajectory import SiteTrajectory

FRAMES_PER_UPDATE = 16
REPORT_EVERY = 25


def residual(form: potential.PotentialForm, parameters: dict, positions, forces, box) -> Array:
    """chi^2, (kJ/mol/nm)^2, over frames of positions and projected forces (F, N, 3)."""
    tables = potential.tabulate(form, parameters)

    def one(frame):
        x, f = frame
        return jnp.mean((potential.force(form, tables, x, box) - f) ** 2)

    return jnp.mean(lax.map(one, (positions, forces), batch_size=4))


def minimise(
    form: potential.PotentialForm,
    parameters: dict,
    trajectory: SiteTrajectory,
    key: Array,
    *,
    updates: int,
    spacing: float,
    rates: StartRates,
    roughness: float,
    report: Callable[[dict], None],
) -> dict:
    """Parameters after `updates` steps of Adam on random frames about `spacing` ps apart.

    `report` gets {"update", "minutes", "force_error", "gradient_norm"} every 25 updates; the force
    error is sqrt(chi^2), kJ/mol/nm, most of it the fluctuation of f that no potential can follow.

    Raises DynmatchError when the trajectory has no forces.
    """
    if trajectory.forces is None:
        raise DynmatchError(
            "force matching (fm) needs projected forces and the trajectory has none; the rule "
            "projection writes them, or take fm out of baselines.methods"
        )
    stride = max(1, round(spacing / trajectory.frame_spacing))
    positions = jnp.asarray(trajectory.positions[::stride], jnp.float32)
    forces = jnp.asarray(trajectory.forces[::stride], jnp.float32)
    box = jnp.asarray(trajectory.box, jnp.float32)
    adam = optimiser(rates, updates)

    def loss(parameters, positions, forces):
        chi2 = residual(form, parameters, positions, forces, box)
        return chi2 / form.thermal_energy**2 + roughness * potential.roughness(parameters), chi2

    @jax.jit
    def update(parameters, moments, key, positions, forces):
        chosen = random.randint(key, (FRAMES_PER_UPDATE,), 0, len(positions))
        gradient, chi2 = jax.grad(loss, has_aux=True)(parameters, positions[chosen], forces[chosen])
        steps, moments = adam.update(gradient, moments, parameters)
        return optax.apply_updates(parameters, steps), moments, chi2, optax.tree.norm(gradient)

    begun = time.monotonic()
    moments = adam.init(parameters)
    averaged, recent = parameters, []
    for number in range(1, updates + 1):
        parameters, moments, chi2, norm = update(
            parameters, moments, random.fold_in(key, number), positions, forces
        )
        keep = min(0.99, number / (number + 10.0))
        averaged = optax.incremental_update(parameters, averaged, 1 - keep)
        recent.append(chi2)
        if number % REPORT_EVERY == 0 or number == updates:
            report(
                {
                    "update": number,
                    "minutes": (time.monotonic() - begun) / 60,
                    "force_error": float(np.sqrt(np.mean(jax.device_get(recent)))),
                    "gradient_norm": float(norm),
                }
            )
            recent = []
    return averaged
