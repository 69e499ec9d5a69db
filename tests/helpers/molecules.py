"""One molecule by itself: C, N, CA, CB, C, N of an amino acid between two caps."""

import numpy as np

from dynmatch.potentials.torsional import Form
from dynmatch.sites.internal_coordinates import ZMatrix
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory

BACKBONE = ((0, 1), (1, 2), (2, 3), (2, 4), (4, 5))
NAMES = "ABABAB"
CHAIN = ZMatrix(
    lengths=((0, 1), (1, 2), (2, 4), (2, 3), (4, 5)),
    angles=((0, 1, 2), (1, 2, 4), (1, 2, 3), (2, 4, 5)),
    torsions=((0, 1, 2, 4), (1, 2, 4, 5)),
    impropers=((4, 1, 2, 3),),
)
FORM = Form(
    names=tuple(NAMES),
    thermal_energy=2.5,
    hidden=(5, 4),
    coordinates=CHAIN,
    lengths=((0.13, 9e3),) * 5,
    angles=((-0.5, 300.0),) * 4,
    impropers=((-2.1, 200.0),),
    torsions=((1.0, -2, 3, 4, 5, 6, -7, 8), (2.0, 1, 0, 1, 2, -3, 1, 0)),
)


def molecule(rng, frames: tuple[int, ...] = ()) -> np.ndarray:
    """A chain in the plane of paper, all of it jittered, far from the origin: (frames, 6, 3) nm."""
    zigzag = np.array([[0, 0, 0], [1, 0.5, 0], [2, 0, 0], [2, -0.8, 0.6], [3, 0.5, 0], [4, 0, 0]])
    return 0.12 * zigzag + 0.015 * rng.normal(size=(*frames, 6, 3)) + 7.0


def trajectory_of(x: np.ndarray, bonds) -> SiteTrajectory:
    """Positions (F, N, 3) as a trajectory of one molecule, every site of a type of its own."""
    count = x.shape[1]
    topology = SiteTopology(tuple("ABCDEFGH"[:count]), (0,) * count, ("R",), tuple(bonds))
    time, masses = np.arange(len(x), dtype=float), np.full(count, 12.0)
    return SiteTrajectory(x, time, masses, topology, np.full(3, 100.0))
