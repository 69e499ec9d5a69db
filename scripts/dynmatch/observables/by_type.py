"""Structure of molecules and mixtures: RDF of each pair of types, and the bonded coordinates."""

import numpy as np
import pandas as pd

from dynmatch.observables.frames import structure
from dynmatch.observables.observed import Observed
from dynmatch.observables.rdf import rdf_samples, rdf_table
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_slices, mean_and_error

COORDINATES = {2: "r_nm", 3: "cos_theta", 4: "phi_rad"}
"""What bonded terms of two, three and four sites are functions of."""
BINS = 100
"""Of cosines and dihedral angles."""
LENGTH_BIN = 0.002
"""Width of the bins of bond lengths, nm; their edges are its multiples."""


def rdf_of_types(
    trajectory: SiteTrajectory, bin_width: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """r (bins,), nm, and samples (B, bins) of g(r) by pair of types, named like ME-OH.

    Of pairs of sites more than three bonds apart; see `rdf_samples`.
    """
    return {
        f"{first}-{second}": rdf_samples(trajectory, bin_width, pairs)
        for (first, second), pairs in trajectory.topology.nonbonded_pairs.items()
        if len(pairs)
    }


def rdf_by_type(rdfs: dict[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Columns types, r_nm, rdf, error, from what `rdf_of_types` returns."""
    return pd.concat(
        [rdf_table(*each).assign(types=name) for name, each in rdfs.items()], ignore_index=True
    )[["types", "r_nm", "rdf", "error"]]


def bonded(trajectory: SiteTrajectory) -> pd.DataFrame:
    """Density of every kind of bond length, cosine of an angle and dihedral angle.

    Columns types (ME-OH-ME), coordinate (of `COORDINATES`), value, density, error; the density
    integrates to 1 over the value. A time block in a replica is a sample. No rows without bonds.
    """
    columns = ["types", "coordinate", "value", "density", "error"]
    tables = [pd.DataFrame(columns=columns)]
    for along, sites in trajectory.topology.bonded_kinds.items():
        blocks = [
            coordinate(replica.positions[block], sites, replica.box).ravel()
            for replica in trajectory.replicas()
            for block in block_slices(replica.n_frames)
        ]
        edges = _edges(len(along), blocks)
        counts = [np.histogram(block, edges, density=True)[0] for block in blocks]
        density, error = mean_and_error(np.array(counts))
        tables.append(
            pd.DataFrame(
                {
                    "types": "-".join(along),
                    "coordinate": COORDINATES[len(along)],
                    "value": 0.5 * (edges[1:] + edges[:-1]),
                    "density": density,
                    "error": error,
                }
            )
        )
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _edges(length: int, blocks: list[np.ndarray]) -> np.ndarray:
    if length == 3:
        return np.linspace(-1, 1, BINS + 1)
    if length == 4:
        return np.linspace(-np.pi, np.pi, BINS + 1)
    low = np.floor(min(block.min() for block in blocks) / LENGTH_BIN)
    high = np.ceil(max(block.max() for block in blocks) / LENGTH_BIN)
    # a rigid bond has one length, and a bin on either side of it
    return LENGTH_BIN * np.arange(low - 1, high + 2)


def observe_rdf(observed: Observed) -> pd.DataFrame:
    """Of all sites that interact, whatever their types."""
    return rdf_table(*observed.once(_of_all))


def observe_rdf_by_type(observed: Observed) -> pd.DataFrame:
    return rdf_by_type(observed.once(_of_types))


def observe_bonded(observed: Observed) -> pd.DataFrame:
    return bonded(observed.once(structure))


def samples_of_rdf(observed: Observed) -> dict[str, np.ndarray]:
    """`rdf` (B, bins) on `rdf_grid` (bins,), nm, and `rdf A-B` of each pair of several types."""
    r, samples = observed.once(_of_all)
    rdfs = observed.once(_of_types)
    found = {"rdf_grid": r, "rdf": samples}
    if len(rdfs) > 1:
        found |= {f"rdf {name}": values for name, (_, values) in rdfs.items()}
    return found


def _of_types(observed: Observed) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return rdf_of_types(observed.once(structure), observed.settings.rdf_bin)


def _of_all(observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    rdfs, frames = observed.once(_of_types), observed.once(structure)
    if len(rdfs) == 1:
        # of one type without bonds, that is the RDF
        return next(iter(rdfs.values()))
    pairs = np.concatenate(list(frames.topology.nonbonded_pairs.values()))
    return rdf_samples(frames, observed.settings.rdf_bin, pairs)
