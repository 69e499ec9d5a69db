r"""Multiscale coarse-graining: the potential whose forces are nearest to the projected ones.

    chi^2(theta) = < |F_theta(M(r)) - f(r)|^2 > / 3N

(Izvekov and Voth 2005, doi:10.1021/jp044629q; Noid et al. 2008, doi:10.1063/1.2938860), f the sum
of the atomic forces on each site. With infinite data its minimum is the best approximation of the
potential of mean force that the form of the potential holds.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random

from dynmatch.bottom_up.adam import descend, optimiser
from dynmatch.errors import DynmatchError
from dynmatch.potentials.sum import Potential
from dynmatch.settings import StartRates
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory

FRAMES_PER_UPDATE = 16


def residual(
    potential: Potential, topology: SiteTopology, parameters: dict, positions, forces, box
) -> Array:
    """chi^2, (kJ/mol/nm)^2, over frames of positions and projected forces (F, N, 3)."""
    tables = potential.tabulate(parameters)

    def one(frame):
        x, f = frame
        return jnp.mean((potential.force(tables, x, box, topology) - f) ** 2)

    return jnp.mean(lax.map(one, (positions, forces), batch_size=4))


def minimise(
    potential: Potential,
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

    `report` gets rows with a `force_error` (see `adam.descend`): sqrt(chi^2), kJ/mol/nm, most of it
    the fluctuation of f that no potential can follow.

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
    adam = optimiser(potential, rates, updates)

    def loss(parameters, positions, forces):
        chi2 = residual(potential, trajectory.topology, parameters, positions, forces, box)
        smooth = roughness * potential.roughness(parameters)
        return chi2 / potential.thermal_energy**2 + smooth, chi2

    @jax.jit
    def advance(parameters, moments, key, positions, forces):
        chosen = random.randint(key, (FRAMES_PER_UPDATE,), 0, len(positions))
        gradient, chi2 = jax.grad(loss, has_aux=True)(parameters, positions[chosen], forces[chosen])
        steps, moments = adam.update(gradient, moments, parameters)
        return optax.apply_updates(parameters, steps), moments, chi2, optax.tree.norm(gradient)

    recent = []

    def update(number, parameters, moments):
        subkey = random.fold_in(key, number)
        parameters, moments, chi2, norm = advance(parameters, moments, subkey, positions, forces)
        recent.append(chi2)
        return parameters, moments, norm

    def measure(number, norm):
        error = float(np.sqrt(np.mean(jax.device_get(recent))))
        recent.clear()
        return {"force_error": error}

    return descend(update, parameters, adam.init(parameters), updates, report, measure)
