"""Angular distribution function within the first shell."""

import numpy as np
import pandas as pd

from dynmatch.observables.frames import structure
from dynmatch.observables.neighbours import check_cutoff, neighbours_within, products
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_error, ratio_samples

BINS = 50
CHUNK = 4_000
"""Centres whose triplets are held at once: few enough for the processor's cache."""


def adf_samples(trajectory: SiteTrajectory, shell_cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Density of cos(theta), theta the angle j-i-k with j and k within `shell_cutoff` (nm) of i.

    All frames of `trajectory` are used. The density integrates to 1 over cos(theta) in [-1, 1].
    Returns the bin centres (bins,) and samples (B, bins), one per time block and replica.

    Raises DynmatchError when the cutoff exceeds half the box.
    """
    check_cutoff(shell_cutoff, trajectory.box, "shell_cutoff")
    edges = np.linspace(-1, 1, BINS + 1)
    counts = []
    for replica in trajectory.replicas():
        for block in block_slices(replica.n_frames):
            counts.append(_histogram(replica.positions[block], replica.box, shell_cutoff))
    counts = np.array(counts)
    norm = counts.sum(axis=1, keepdims=True) * (edges[1] - edges[0])
    return 0.5 * (edges[1:] + edges[:-1]), ratio_samples(counts, norm)


def adf(trajectory: SiteTrajectory, shell_cutoff: float) -> pd.DataFrame:
    """Columns cos_theta, density, error; see `adf_samples`."""
    return adf_table(*adf_samples(trajectory, shell_cutoff))


def adf_table(cosines: np.ndarray, samples: np.ndarray) -> pd.DataFrame:
    """Columns cos_theta, density, error, from what `adf_samples` returns."""
    value, error = mean_and_error(samples)
    return pd.DataFrame({"cos_theta": cosines, "density": value, "error": error})


def _histogram(positions: np.ndarray, box: np.ndarray | None, cutoff: float) -> np.ndarray:
    counts = np.zeros(BINS)
    chunk = max(1, CHUNK // positions.shape[1])
    for start in range(0, len(positions), chunk):
        shell, _, direction = neighbours_within(positions[start : start + chunk], box, cutoff)
        j, k = products(shell, shell)
        j, k = j[j < k], k[j < k]
        cosine = np.einsum("tx,tx->t", direction[j], direction[k]).clip(-1, 1)
        counts += np.histogram(cosine, BINS, (-1, 1))[0]
    return counts


def observe_adf(observed: Observed) -> pd.DataFrame:
    return adf_table(*observed.once(_of_structure))


def samples_of_adf(observed: Observed) -> dict[str, np.ndarray]:
    """`adf` (B, bins) on `adf_grid` (bins,)."""
    cosines, samples = observed.once(_of_structure)
    return {"adf_grid": cosines, "adf": samples}


def _of_structure(observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    return adf_samples(observed.once(structure), observed.settings.shell_cutoff)
