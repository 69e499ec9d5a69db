"""Radial distribution function."""

import mdtraj
import numpy as np
import pandas as pd

from dynmatch.errors import DynmatchError
from dynmatch.observables.frames import pieces
from dynmatch.sites.box import heights, lengths_and_angles
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_error

CHUNK = 4_000_000
"""Distances held at once."""


def rdf_samples(
    trajectory: SiteTrajectory, bin_width: float, pairs: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """g(r) of every time block of every replica, from all frames of `trajectory`.

    Of the `pairs` (P, 2) of sites, all N(N-1)/2 where they are not given, and normalised by their
    number, so that g = 1 for an ideal gas of any N.
    Returns the bin centres r (bins,), nm, up to half the least height of the box, and samples
    (B, bins).

    Raises DynmatchError when the trajectory has no periodic box.
    """
    if trajectory.box is None:
        raise DynmatchError("the trajectory has no periodic box, so it has no density and no RDF")
    bins = int(0.5 * np.min(heights(trajectory.box)) / bin_width * (1 + 1e-9))
    if pairs is None:
        pairs = np.stack(np.triu_indices(trajectory.n_sites, 1), axis=1)
    chunk = max(1, CHUNK // len(pairs))
    samples = []
    for replica in trajectory.replicas():
        for block in block_slices(replica.n_frames):
            rdf = np.zeros(bins)
            for piece in pieces(block, chunk):
                r, part = mdtraj.compute_rdf(
                    _frames(replica, piece),
                    pairs,
                    r_range=(0.0, bins * bin_width),
                    n_bins=bins,
                )
                rdf += part * (piece.stop - piece.start) / (block.stop - block.start)
            samples.append(rdf)
    return r, np.array(samples)


def rdf(
    trajectory: SiteTrajectory, bin_width: float, pairs: np.ndarray | None = None
) -> pd.DataFrame:
    """Columns r_nm, rdf, error; see `rdf_samples`."""
    return rdf_table(*rdf_samples(trajectory, bin_width, pairs))


def rdf_table(r: np.ndarray, samples: np.ndarray) -> pd.DataFrame:
    """Columns r_nm, rdf, error, from what `rdf_samples` returns."""
    value, error = mean_and_error(samples)
    return pd.DataFrame({"r_nm": r, "rdf": value, "error": error})


def _frames(trajectory: SiteTrajectory, index: slice) -> mdtraj.Trajectory:
    positions = trajectory.positions[index]
    cell = [np.tile(each, (len(positions), 1)) for each in lengths_and_angles(trajectory.box)]
    return mdtraj.Trajectory(
        positions,
        trajectory.topology.to_mdtraj(),
        unitcell_lengths=cell[0],
        unitcell_angles=cell[1],
    )
