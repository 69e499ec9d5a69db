r"""A molecule's internal coordinates: as many lengths, angles and dihedrals as it has shapes.

Each site is placed relative to those before it: by its distance to the site it is bonded to, an
angle, and a dihedral. That is a torsion about a bond for the first site beyond the bond; the others
there are told from the first by an improper dihedral, which keeps chirality. In these coordinates
the volume element is prod r^2 dr d(cos theta) d(phi), so that it does not couple them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, dijkstra
from scipy.stats import circstd

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import minimum_image
from dynmatch.sites.trajectory import SiteTrajectory

RIGID = 0.3
"""Circular standard deviation, radian, below which a torsion rattles in one well. In alanine
dipeptide that about the amide bond has 0.18, phi 0.58, and psi 0.38 within either of its wells."""
FRAMES = 10_000
"""Of a trajectory, at most, by which torsions are told to be rigid."""


@dataclass(frozen=True)
class ZMatrix:
    """Sites (tuples of indices) of the N - 1 lengths, N - 2 angles and N - 3 dihedrals.

    torsions  about bonds, each free to turn
    impropers (first, a, b, site): between the planes of two sites that are both bonded to b; and
              torsions that do not turn, which have one well as well
    """

    lengths: tuple[tuple[int, int], ...]
    angles: tuple[tuple[int, int, int], ...]
    torsions: tuple[tuple[int, int, int, int], ...]
    impropers: tuple[tuple[int, int, int, int], ...]


def coordinate(positions, sites: np.ndarray, box, xp=np):
    """r (nm), cos theta or phi (radian, IUPAC sign) of sites (S, 2), (S, 3) or (S, 4).

    positions (..., N, 3), nm; returns (..., S). `xp` is NumPy or JAX's.
    """
    steps = []
    for i, j in zip(sites.T[:-1], sites.T[1:], strict=True):
        d = positions[..., j, :] - positions[..., i, :]
        steps.append(minimum_image(d, box, xp))
    if len(steps) == 1:
        return xp.sqrt(xp.sum(steps[0] ** 2, -1))
    if len(steps) == 2:
        first, second = -steps[0], steps[1]
        norm = xp.sqrt(xp.sum(first**2, -1) * xp.sum(second**2, -1))
        return xp.sum(first * second, -1) / norm
    first, second, third = steps
    left, right = xp.cross(first, second), xp.cross(second, third)
    sine = xp.sqrt(xp.sum(second**2, -1)) * xp.sum(first * right, -1)
    return xp.arctan2(sine, xp.sum(left * right, -1))


def zmatrix(bonds: Sequence[tuple[int, int]], count: int) -> ZMatrix:
    """The coordinates of one molecule of `count` sites, a tree of bonds.

    It is walked from the end of a longest chain, the longest branches first, so that torsions are
    those of the main chain, and from the end with the lower index.

    Raises DynmatchError where the bonds do not join all sites, or close a ring.
    """
    rows, columns = np.array(bonds, int).reshape(-1, 2).T
    graph = csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    distance = dijkstra(graph, directed=False, unweighted=True)
    if len(bonds) != count - 1 or not np.isfinite(distance).all():
        raise DynmatchError(
            "reference.sites: the bonds of the sites must make one molecule without rings; "
            f"there are {len(bonds)} bonds of {count} sites"
        )
    root = int(np.argmax(distance.max(1)))
    _, parents = breadth_first_order(graph, root, directed=False)
    angles, torsions, impropers = [], [], []
    first_below = {}
    # nearer sites come first, and of those as near the one with the longest branch beyond it, or
    # the last: a main chain goes on to later residues
    order = sorted(
        range(count), key=lambda i: (distance[root, i], -_reach(i, distance[root], distance), -i)
    )
    for site in order[2:]:
        b = int(parents[site])
        a = int(parents[b])
        angles.append((a, b, site))
        if b in first_below:
            impropers.append((first_below[b], a, b, site))
            continue
        first_below[b] = site
        if a != root:
            torsions.append((int(parents[a]), a, b, site))
    lengths = tuple((int(parents[site]), site) for site in order[1:])
    return ZMatrix(lengths, tuple(angles), tuple(torsions), tuple(impropers))


def coordinates_of(trajectory: SiteTrajectory) -> ZMatrix:
    """Those of the molecule that `trajectory` is of, where torsions that hardly move in it, as that
    about an amide bond, are counted with the impropers.

    Raises DynmatchError where the bonds do not join all sites, or close a ring.
    """
    chain = zmatrix(trajectory.topology.bonds, trajectory.n_sites)
    if not chain.torsions:
        return chain
    some = trajectory.positions[:: max(1, trajectory.n_frames // FRAMES)]
    phi = coordinate(some, np.array(chain.torsions), trajectory.box)
    rigid = circstd(phi, axis=0) < RIGID
    turning = tuple(sites for sites, still in zip(chain.torsions, rigid, strict=True) if not still)
    still = tuple(sites for sites in chain.torsions if sites not in turning)
    return replace(chain, torsions=turning, impropers=chain.impropers + still)


def _reach(site: int, depth: np.ndarray, distance: np.ndarray) -> float:
    """Bonds from `site` to the end of the longest branch beyond it."""
    beyond = depth == depth[site] + distance[site]
    return float(distance[site][beyond].max())
