"""An all-atom trajectory that was simulated here as one of coarse-grained sites."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import mdtraj
import numpy as np

from dynmatch.errors import DynmatchError, told
from dynmatch.sites.mapping import map_sites, site_bonds, site_topology, weights_of
from dynmatch.sites.projection import apply_mapping
from dynmatch.sites.trajectory import SiteTrajectory

CHUNK = 20000
"""All-atom frames in memory at a time, of a molecule of 20 atoms; fewer of larger systems."""
ATOMS = 20


def project_sites(
    path: str | Path,
    definitions: Sequence[Mapping],
    where: str = "reference",
    masses: np.ndarray | None = None,
) -> SiteTrajectory:
    """The sites of the trajectory at `path`, in MDTraj's HDF5 layout, nothing of it wrapped.

    definitions  of the sites, see `mapping.map_sites`
    where        the section of the config that messages name
    masses       (n,) amu, of the atoms; those of their elements where they are not given

    The time returns to 0 at the first frame of each replica. Velocities, the weighted means of the
    atoms', are there where the file has them; there are no forces.

    Raises DynmatchError, naming the file or the key, for what cannot be read or used.
    """
    positions, velocities = [], []
    try:
        with mdtraj.formats.HDF5TrajectoryFile(str(path)) as file:
            atoms = file.topology
            box = file.root.cell_lengths[0].astype(np.float64)
            sites = map_sites(atoms, definitions, where, masses=masses)
            matrix = weights_of(sites, atoms.n_atoms)
            time = file.root.time.read().astype(np.float64)
            moving = "velocities" in file.root
            chunk = max(1, CHUNK * ATOMS // atoms.n_atoms)
            for first in range(0, len(time), chunk):
                frames = slice(first, first + chunk)
                positions.append(_mapped(matrix, file.root.coordinates[frames]))
                if moving:
                    velocities.append(_mapped(matrix, file.root.velocities[frames]))
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise DynmatchError(
            f"{path}: cannot be read as an all-atom trajectory: {told(error)}; "
            "delete it to have it made again"
        ) from error
    return SiteTrajectory(
        positions=np.concatenate(positions),
        time=time,
        masses=np.array([site.mass for site in sites]),
        topology=site_topology(atoms, sites, site_bonds(atoms, sites), where),
        box=box,
        velocities=np.concatenate(velocities) if moving else None,
    )


def _mapped(matrix, values: np.ndarray) -> np.ndarray:
    return apply_mapping(matrix, values).astype(np.float32)
