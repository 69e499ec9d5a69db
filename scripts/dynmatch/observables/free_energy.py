"""Free energies, kJ/mol, from sampled densities: F = -kB T ln P.

Errors are first order, kB T times the relative error of P, and leave out that of the zero of
energy. Bins never visited have no free energy: NaN.
"""

import numpy as np
import pandas as pd

from dynmatch.observables.by_type import observe_rdf
from dynmatch.observables.frames import structure
from dynmatch.observables.neighbours import check_cutoff, neighbours_within, products
from dynmatch.observables.observed import Observed
from dynmatch.observables.tetrahedral import observe_tetrahedral
from dynmatch.sites.box import heights
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_error, ratio_samples
from dynmatch.units import BOLTZMANN

R_BINS = 60
COSINE_BINS = 40
CHUNK = 1_000
"""Centres whose triplets are held at once: few enough for the processor's cache."""


def _from_density(
    density: np.ndarray, error: np.ndarray, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    thermal = BOLTZMANN * temperature
    sampled = np.where(density > 0, density, np.nan)
    return -thermal * np.log(sampled), thermal * error / sampled


def pmf(rdf: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """w(r) = -kB T ln g(r), 0 far away, from the table of `rdf`; temperature in K.

    Columns r_nm, w_kj_per_mol, error_kj_per_mol.
    """
    w, error = _from_density(rdf["rdf"].to_numpy(), rdf["error"].to_numpy(), temperature)
    return pd.DataFrame({"r_nm": rdf["r_nm"], "w_kj_per_mol": w, "error_kj_per_mol": error})


def free_energy_q(tetrahedral: pd.DataFrame, temperature: float) -> pd.DataFrame:
    """F(q) = -kB T ln P(q), its minimum at 0, from the table of `tetrahedral`; temperature in K.

    Columns q, f_kj_per_mol, error_kj_per_mol.
    """
    density, error = tetrahedral["density"].to_numpy(), tetrahedral["error"].to_numpy()
    f, error = _from_density(density, error, temperature)
    columns = {"q": tetrahedral["q"], "f_kj_per_mol": f - np.nanmin(f), "error_kj_per_mol": error}
    return pd.DataFrame(columns)


def free_energy_r_theta(
    trajectory: SiteTrajectory, shell_cutoff: float, temperature: float
) -> pd.DataFrame:
    """F(r, cos theta) = -kB T ln[P(r, cos theta) / r^2], its minimum at 0.

    theta is the angle j-i-k between a neighbour j in the first shell of i (r_ij below the
    `shell_cutoff`, nm) and any other site k, r = r_ik up to twice the shell cutoff or half the box.
    An ideal gas has P ~ r^2 and so F = 0. All frames of `trajectory` are used; temperature in K.
    Columns r_nm, cos_theta, f_kj_per_mol, error_kj_per_mol, one row for each bin of the grid.

    Raises DynmatchError when the cutoff exceeds half the box.
    """
    check_cutoff(shell_cutoff, trajectory.box, "shell_cutoff")
    reach = 2 * shell_cutoff
    if trajectory.box is not None:
        reach = min(reach, 0.5 * np.min(heights(trajectory.box)))
    counts = []
    for replica in trajectory.replicas():
        for block in block_slices(replica.n_frames):
            counts.append(_histogram(replica.positions[block], replica.box, shell_cutoff, reach))
    counts = np.array(counts)
    edges = np.linspace(0, reach, R_BINS + 1)
    ideal = np.diff(edges**3)[:, None]
    total = counts.sum(axis=(1, 2), keepdims=True)
    density, error = mean_and_error(ratio_samples(counts / ideal, total))
    f, error = _from_density(density, error, temperature)
    cosine_edges = np.linspace(-1, 1, COSINE_BINS + 1)
    return pd.DataFrame(
        {
            "r_nm": np.repeat(0.5 * (edges[1:] + edges[:-1]), COSINE_BINS),
            "cos_theta": np.tile(0.5 * (cosine_edges[1:] + cosine_edges[:-1]), R_BINS),
            "f_kj_per_mol": (f - np.nanmin(f)).ravel(),
            "error_kj_per_mol": error.ravel(),
        }
    )


def _histogram(
    positions: np.ndarray, box: np.ndarray | None, shell_cutoff: float, reach: float
) -> np.ndarray:
    """Counts (R_BINS, COSINE_BINS) of triplets."""
    counts = np.zeros(R_BINS * COSINE_BINS, int)
    chunk = max(1, CHUNK // positions.shape[1])
    for start in range(0, len(positions), chunk):
        some = positions[start : start + chunk]
        around, distance, direction = neighbours_within(some, box, reach)
        near = np.flatnonzero(distance < shell_cutoff)
        centre = np.repeat(np.arange(len(around)), around)
        j, k = products(np.bincount(centre[near], minlength=len(around)), around)
        cosine = np.einsum("tx,tx->t", direction[near][j], direction[k])
        column = np.minimum((0.5 * COSINE_BINS) * (cosine + 1), COSINE_BINS - 1).astype(int)
        row = np.minimum(R_BINS / reach * distance, R_BINS - 1).astype(int)
        other = near[j] != k
        index = (row * COSINE_BINS)[k] + column
        counts += np.bincount(index[other], minlength=len(counts))
    return counts.reshape(R_BINS, COSINE_BINS)


def observe_pmf(observed: Observed) -> pd.DataFrame:
    return pmf(observed.once(observe_rdf), observed.temperature)


def observe_free_energy_q(observed: Observed) -> pd.DataFrame:
    return free_energy_q(observed.once(observe_tetrahedral), observed.temperature)


def observe_free_energy_r_theta(observed: Observed) -> pd.DataFrame:
    return free_energy_r_theta(
        observed.once(structure), observed.settings.shell_cutoff, observed.temperature
    )
