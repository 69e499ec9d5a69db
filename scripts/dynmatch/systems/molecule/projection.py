"""The all-atom trajectory of one molecule, in no box, as one of coarse-grained sites."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import mdtraj
import numpy as np

from dynmatch.errors import DynmatchError, told
from dynmatch.sites.mapping import map_sites, site_bonds, site_topology, weights_of
from dynmatch.sites.projection import apply_mapping
from dynmatch.sites.trajectory import SiteTrajectory

CHUNK = 20000
"""All-atom frames in memory at a time."""


def project_molecule(
    path: str | Path, definitions: Sequence[Mapping], where: str = "reference"
) -> SiteTrajectory:
    """The sites of the trajectory at `path`, in MDTraj's HDF5 layout, nothing of it wrapped.

    definitions  of the sites, see `mapping.map_sites`
    where        the section of the config that messages name

    The time returns to 0 at the first frame of each replica. There are no forces and no velocities.

    Raises DynmatchError, naming the file or the key, for what cannot be read or used.
    """
    positions = []
    try:
        with mdtraj.formats.HDF5TrajectoryFile(str(path)) as file:
            atoms = file.topology
            box = file.root.cell_lengths[0].astype(np.float64)
            sites = map_sites(atoms, definitions, where)
            matrix = weights_of(sites, atoms.n_atoms)
            time = file.root.time.read().astype(np.float64)
            for first in range(0, len(time), CHUNK):
                data = file.root.coordinates[first : first + CHUNK]
                positions.append(apply_mapping(matrix, data).astype(np.float32))
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise DynmatchError(
            f"{path}: cannot be read as an all-atom trajectory: {told(error)}; "
            "delete it to have it made again"
        ) from error
    return SiteTrajectory(
        positions=np.concatenate(positions),
        time=time,
        masses=np.array([site.mass for site in sites]),
        topology=site_topology(atoms, sites, site_bonds(atoms, sites)),
        box=box,
    )
