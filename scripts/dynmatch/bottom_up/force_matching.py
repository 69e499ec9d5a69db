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
from jax import Array, lax

from dynmatch.bottom_up.descent import descend
from dynmatch.errors import DynmatchError
from dynmatch.potentials.sum import Potential
from dynmatch.settings import ForceMatchingRates
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory

FRAMES_PER_UPDATE = 16


def optimiser(
    potential: Potential, rates: ForceMatchingRates, updates: int
) -> optax.GradientTransformation:
    """Adam with a rate for each group of parameters, which decays on a cosine to a hundredth."""

    def adam(rate):
        schedule = optax.cosine_decay_schedule(rate, updates, alpha=0.01)
        return optax.chain(optax.clip_by_global_norm(10.0), optax.adam(schedule, b1=0.8, b2=0.99))

    groups = {name: adam(getattr(rates, name)) for name in potential.groups}
    return optax.partition(groups, dict(zip(groups, groups, strict=True)))


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
    seed: int,
    *,
    updates: int,
    rates: ForceMatchingRates,
    roughness: float,
    report: Callable[[dict], None],
) -> dict:
    """Parameters after `updates` steps of Adam on random frames.

    `report` gets rows with a `force_error` (see `descent.descend`): sqrt(chi^2), kJ/mol/nm, most of
    it the fluctuation of f that no potential can follow.

    Raises DynmatchError when the trajectory has no forces.
    """
    if trajectory.forces is None:
        raise DynmatchError(
            "force matching (fm) needs projected forces and the trajectory has none; the rule "
            "projection writes them, or take fm out of baselines.methods"
        )
    drawn = np.random.default_rng(seed)
    box = jnp.asarray(trajectory.box, jnp.float32)
    adam = optimiser(potential, rates, updates)

    def loss(parameters, positions, forces):
        chi2 = residual(potential, trajectory.topology, parameters, positions, forces, box)
        smooth = roughness * potential.roughness(parameters)
        return chi2 / potential.thermal_energy**2 + smooth, chi2

    @jax.jit
    def advance(parameters, moments, positions, forces):
        gradient, chi2 = jax.grad(loss, has_aux=True)(parameters, positions, forces)
        steps, moments = adam.update(gradient, moments, parameters)
        return optax.apply_updates(parameters, steps), moments, chi2, optax.tree.norm(gradient)

    recent = []

    def update(number, parameters, moments):
        chosen = drawn.integers(trajectory.n_frames, size=FRAMES_PER_UPDATE)
        positions, forces = trajectory.positions[chosen], trajectory.forces[chosen]
        parameters, moments, chi2, norm = advance(parameters, moments, positions, forces)
        recent.append(chi2)
        return parameters, moments, norm

    def measure(number, norm):
        error = float(np.sqrt(np.mean(jax.device_get(recent))))
        recent.clear()
        return {"force_error": error}

    return descend(update, parameters, adam.init(parameters), updates, report, measure)
