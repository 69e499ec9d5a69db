"""Tetrahedral order parameter."""

import numpy as np
import pandas as pd

from dynmatch.errors import DynmatchError
from dynmatch.observables.frames import pieces, structure
from dynmatch.observables.neighbours import nearest_directions
from dynmatch.observables.observed import Observed
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_error

BINS = 200
CHUNK = 100_000
"""Sites whose neighbours are held at once."""


def tetrahedral_order(positions: np.ndarray, box: np.ndarray | None) -> np.ndarray:
    """q (F, N) = 1 - 3/8 sum over the 6 pairs of the 4 nearest neighbours of (cos psi + 1/3)^2.

    1 in a perfect tetrahedral network, 0 on average for random directions, -3 at least.
    J. R. Errington and P. G. Debenedetti, Nature 409, 318 (2001), doi:10.1038/35053024.
    positions (F, N, 3), nm.

    Raises DynmatchError when there are fewer than 5 sites.
    """
    if positions.shape[1] < 5:
        raise DynmatchError(
            f"the tetrahedral order needs 5 sites or more, not {positions.shape[1]}"
        )
    directions = nearest_directions(positions, box, 4)
    cosines = directions @ directions.swapaxes(-1, -2)
    j, k = np.triu_indices(4, 1)
    return 1 - 3 / 8 * np.sum((cosines[..., j, k] + 1 / 3) ** 2, axis=-1)


def tetrahedral_samples(trajectory: SiteTrajectory) -> tuple[np.ndarray, np.ndarray]:
    """Density of q over all sites and frames of `trajectory`, which integrates to 1.

    Returns the bin centres (bins,), from q = -3 to 1, and samples (B, bins), one per time block
    and replica.
    """
    edges = np.linspace(-3, 1, BINS + 1)
    samples = []
    for replica in trajectory.replicas():
        for block in block_slices(replica.n_frames):
            counts = np.zeros(BINS)
            for piece in pieces(block, max(1, CHUNK // replica.n_sites)):
                q = tetrahedral_order(replica.positions[piece], replica.box)
                counts += np.histogram(q.clip(-3, 1), edges)[0]
            samples.append(counts / (counts.sum() * (edges[1] - edges[0])))
    return 0.5 * (edges[1:] + edges[:-1]), np.array(samples)


def tetrahedral(trajectory: SiteTrajectory) -> pd.DataFrame:
    """Columns q, density, error; see `tetrahedral_samples`."""
    return tetrahedral_table(*tetrahedral_samples(trajectory))


def tetrahedral_table(q: np.ndarray, samples: np.ndarray) -> pd.DataFrame:
    """Columns q, density, error, from what `tetrahedral_samples` returns, from the lowest sampled
    bin on."""
    value, error = mean_and_error(samples)
    lowest = np.flatnonzero(value)[0]
    return pd.DataFrame({"q": q, "density": value, "error": error})[lowest:].reset_index(drop=True)


def observe_tetrahedral(observed: Observed) -> pd.DataFrame:
    return tetrahedral_table(*observed.once(_of_structure))


def samples_of_tetrahedral(observed: Observed) -> dict[str, np.ndarray]:
    """`tetrahedral` (B, bins) on `tetrahedral_grid` (bins,)."""
    q, samples = observed.once(_of_structure)
    return {"tetrahedral_grid": q, "tetrahedral": samples}


def _of_structure(observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    return tetrahedral_samples(observed.once(structure))
