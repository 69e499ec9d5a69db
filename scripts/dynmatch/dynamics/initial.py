"""Start values of the dynamics, from the reference's diffusion and the settings."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.dynamics.base import Equation
from dynmatch.observables.centre import centre_diffusion
from dynmatch.observables.msd import diffusion, msd_samples
from dynmatch.settings import InitialSettings
from dynmatch.sites.trajectory import SiteTrajectory

SPACING = 1.0
"""About the time between the frames that D is fitted to, ps."""
CONFINED = 0.5
"""Of MSD/6t at the beginning of its fit: with a smaller D, sites are taken for confined."""


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


def _chosen(trajectory: SiteTrajectory, sites: np.ndarray) -> SiteTrajectory:
    return replace(
        trajectory,
        positions=trajectory.positions[:, sites],
        masses=trajectory.masses[sites],
        topology=trajectory.topology.chosen(sites.tolist()),
    )


def start_values(
    equation: Equation, friction: np.ndarray, mass: np.ndarray, initial: InitialSettings, seed: int
) -> dict[str, Array]:
    """Logarithms of the start values, from the friction (amu/ps) and the mass (amu) of each type.

    `initial` starts the training wrong on purpose: friction and mass by a factor each, and the
    friction by another that is drawn from `seed`, log-uniform between 1/gamma_spread and
    gamma_spread.
    """
    drawn = initial.gamma_spread ** np.random.default_rng(seed).uniform(-1.0, 1.0)
    values = equation.initial(friction * initial.gamma_factor * drawn, mass * initial.mass_factor)
    return {name: jnp.log(jnp.asarray(value, jnp.float32)) for name, value in values.items()}
