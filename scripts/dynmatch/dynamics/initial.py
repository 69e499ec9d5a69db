"""Start values of the dynamics, from the reference's diffusion and the settings."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.dynamics import rollout
from dynmatch.dynamics.base import Equation, Scale
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.observables.centre import centre_diffusion
from dynmatch.observables.msd import diffusion, msd_samples
from dynmatch.potentials.sum import Potential
from dynmatch.settings import InitialSettings
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Batch

SPACING = 1.0
"""About the time between the frames that D is fitted to, ps."""
CONFINED = 0.5
"""Of MSD/6t at the beginning of its fit: with a smaller D, sites are taken for confined."""
SIMULATIONS, MATCHED_WINDOWS = 4, 8
"""By which the friction in a liquid is found, and the windows of each."""
LEAST_SLOPE, LARGEST_STEP, SMALL = 0.2, 1.5, 0.05
"""Of ln MSD with ln friction, negative; steps of ln friction; and one too small to tell a slope."""


def mean_mass(trajectory: SiteTrajectory) -> np.ndarray:
    """(T,) mean mass of the sites of each type, amu."""
    topology = trajectory.topology
    if len(topology.type_names) == 1:
        return np.array([np.mean(trajectory.masses)])
    return np.bincount(topology.types, trajectory.masses) / np.bincount(topology.types)


def einstein_friction(trajectory: SiteTrajectory, kT: float) -> np.ndarray:
    """(T,) kB T/(n D) of each type, amu/ps, with D of its sites in the reference and n the sites of
    their molecules, whose frictions add up.

    For a single molecule kB T/D of its centre of mass is the sum over all sites, which share it in
    proportion to their masses. Where the MSD levels off while D is fitted, as in a droplet, D is
    MSD/6t at the beginning of the fit.
    """
    topology = trajectory.topology
    molecules = topology.molecules
    if len(molecules) == 1:
        d = float(centre_diffusion(trajectory).d_nm2_per_ps.iloc[0])
        return kT / d / np.sum(trajectory.masses) * mean_mass(trajectory)
    stride = max(1, round(SPACING / trajectory.frame_spacing))
    coarse = trajectory.frames(slice(None, None, stride))
    length = trajectory.frame_spacing * trajectory.replicas()[0].n_frames

    def friction(sites):
        lag, blocks, of_sites = msd_samples(sites, length / 4)
        fit = diffusion(lag, blocks, of_sites, length).iloc[0]
        early = np.mean(of_sites[:, lag == fit.fit_from_ps]) / (6 * fit.fit_from_ps)
        confined = fit.d_nm2_per_ps < CONFINED * early
        return kT / float(early if confined else fit.d_nm2_per_ps)

    sizes = np.empty(trajectory.n_sites)
    for molecule in molecules:
        sizes[molecule] = len(molecule)
    types = range(len(topology.type_names))
    return np.array(
        [
            friction(_chosen(coarse, np.flatnonzero(topology.types == number)))
            / np.mean(sizes[topology.types == number])
            for number in types
        ]
    )


def starts_from_friction(equation: Equation, scale: Scale) -> bool:
    """Whether start values depend on the friction of `scale`; those of a memory do not."""
    other = equation.initial(replace(scale, friction=2 * scale.friction))
    return any(np.any(other[name] != value) for name, value in equation.initial(scale).items())


def friction_in_liquid(
    plan: RolloutPlan, scale: Scale, tables: tuple, reference: Batch, seed: int
) -> np.ndarray:
    """(T,) friction, amu/ps, with which sites of each type are displaced over a window as in the
    `reference`, by simulation from the first frames of its windows.

    kB T/D is more than the friction of the equation of motion: the forces of the other molecules
    hinder a site as well. ln of the mean square displacement falls with ln of the friction, with a
    slope between -1 (Brownian dynamics) and 0; it is taken from the last two simulations. The
    friction is that of `scale` at most. `tables` are of the potential that a training starts from.
    """
    plan = replace(plan, learned=())
    simulate = jax.jit(rollout.simulate_windows, static_argnums=0)
    start = jax.jit(rollout.start, static_argnums=0)
    wanted = _squares(plan, reference.means)
    positions = jnp.asarray(reference.positions[:MATCHED_WINDOWS, 0])
    log, slope, before = np.log(scale.friction), -1.0, None
    for number in range(SIMULATIONS):
        key = jax.random.fold_in(jax.random.PRNGKey(seed), number)
        keys = jax.random.split(key, len(positions))
        values = plan.equation.initial(replace(scale, friction=np.exp(log)))
        values = {name: jnp.asarray(value, jnp.float32) for name, value in values.items()}
        _, frames = simulate(plan, values, tables, start(plan, values, tables, keys, positions))
        off = np.log(_squares(plan, np.asarray(frames.means)) / wanted)
        if not np.isfinite(off).all():
            break
        if before is not None:
            moved = np.where(np.abs(log - before[0]) < SMALL, SMALL, log - before[0])
            slope = np.clip((off - before[1]) / moved, -1.0, -LEAST_SLOPE)
        before = log, off
        log = log - np.clip(off / slope, -LARGEST_STEP, LARGEST_STEP)
        # forces never make diffusion faster than without them
        log = np.minimum(log, np.log(scale.friction))
    return np.exp(log)


def _squares(plan: RolloutPlan, means: np.ndarray) -> np.ndarray:
    """(T,) mean square displacement of each type over windows (W, T, N, 3), nm^2, without that of
    all sites together."""
    moved = np.asarray(means[:, -1] - means[:, 0], np.float64)
    moved = moved - np.mean(moved, 1, keepdims=True)
    of_sites = np.mean(np.sum(moved**2, -1), 0)
    return np.bincount(plan.types, of_sites) / np.bincount(plan.types)


def _chosen(trajectory: SiteTrajectory, sites: np.ndarray) -> SiteTrajectory:
    return replace(
        trajectory,
        positions=trajectory.positions[:, sites],
        masses=trajectory.masses[sites],
        topology=trajectory.topology.chosen(sites.tolist()),
    )


def start_values(
    equation: Equation, scale: Scale, initial: InitialSettings, seed: int
) -> dict[str, Array]:
    """Logarithms of the start values.

    `initial` starts the training wrong on purpose: friction and mass by a factor each, and friction
    and frequency by another that is drawn from `seed`, log-uniform between 1/gamma_spread and
    gamma_spread.
    """
    drawn = initial.gamma_spread ** np.random.default_rng(seed).uniform(-1.0, 1.0)
    values = equation.initial(
        Scale(
            scale.mass * initial.mass_factor,
            scale.friction * initial.gamma_factor * drawn,
            scale.frequency * drawn,
        )
    )
    return {name: jnp.log(jnp.asarray(value, jnp.float32)) for name, value in values.items()}


def force_frequency(
    potential: Potential, parameters: dict, topology: SiteTopology, frames, box, mass: np.ndarray
) -> np.ndarray:
    """(T,) of `Scale.frequency`, 1/ps, in `frames` (F, N, 3), nm, of the reference."""
    tables = potential.tabulate(parameters)
    box = jnp.asarray(box, jnp.float32)
    force = jax.jit(lambda x: potential.force(tables, x, box, topology))
    squares = np.mean([np.mean(np.asarray(force(x)) ** 2, -1) for x in jnp.asarray(frames)], 0)
    types = topology.types_among(potential.names)
    mean = np.bincount(types, squares) / np.bincount(types)
    return np.sqrt(mean / (mass * potential.thermal_energy))
