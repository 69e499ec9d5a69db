"""Neighbours of sites under periodic boundaries, from SciPy's k-d tree."""

import numpy as np
from scipy.spatial import KDTree

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import heights, minimum_image, points_for_tree


def check_cutoff(cutoff: float, box: np.ndarray | None, key: str) -> None:
    """Raise DynmatchError, naming `key`, when `cutoff` (nm) exceeds half a height of the box."""
    if box is None:
        return
    half = 0.5 * np.min(heights(box))
    if cutoff > half:
        raise DynmatchError(
            f"{key}: {cutoff:g} nm is beyond half the box; take at most {half:g} nm"
        )


def pairs_within(
    positions: np.ndarray, box: np.ndarray | None, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of sites closer than `cutoff` (nm) in positions (F, N, 3): frame, i, j (P,), i < j."""
    pairs = [_pairs_of(frame, box, cutoff) for frame in positions]
    frame = np.repeat(np.arange(len(pairs)), [len(some) for some in pairs])
    return frame, *np.concatenate(pairs).T


def _pairs_of(frame: np.ndarray, box: np.ndarray | None, cutoff: float) -> np.ndarray:
    """Pairs (P, 2) of sites of one frame (N, 3), the lower index first."""
    points, site, size = points_for_tree(frame, box, cutoff)
    pairs = KDTree(points, boxsize=size).query_pairs(cutoff, output_type="ndarray")
    if len(points) == len(frame):
        return pairs
    # of a pair across a face, one site is there with an image of the other, twice
    first, second = pairs.T
    once = (first < len(frame)) & ((second < len(frame)) | (first < site[second]))
    return site[pairs[once]]


def neighbours_within(
    positions: np.ndarray, box: np.ndarray | None, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours closer than `cutoff` (nm) of every site in positions (F, N, 3).

    Returns the number of neighbours of each centre (F*N,), frames first, and for all neighbours P
    in the order of their centres the distances (P,), nm, and the unit vectors (P, 3) towards them.
    """
    n_frames, n_sites, _ = positions.shape
    frame, i, j = pairs_within(positions, box, cutoff)
    centre = np.concatenate([frame, frame]) * n_sites + np.concatenate([i, j])
    vector = minimum_image(positions[frame, j] - positions[frame, i].astype(np.float64), box)
    vector = np.concatenate([vector, -vector])
    order = np.argsort(centre, kind="stable")
    distance = np.linalg.norm(vector[order], axis=1)
    counts = np.bincount(centre, minlength=n_frames * n_sites)
    return counts, distance, vector[order] / distance[:, None]


def nearest_directions(positions: np.ndarray, box: np.ndarray | None, k: int) -> np.ndarray:
    """Unit vectors (F, N, k, 3) from each site of positions (F, N, 3) to its k nearest sites."""
    directions = np.empty((*positions.shape[:2], k, 3))
    for index, frame in enumerate(positions):
        reach = 0.0 if box is None else np.min(heights(box))
        points, _, size = points_for_tree(frame, box, reach)
        sites = points[: len(frame)]
        _, near = KDTree(points, boxsize=size).query(sites, k + 1)
        # the nearest of all is the site itself
        vector = minimum_image(points[near[:, 1:]] - sites[:, None], box)
        directions[index] = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
    return directions


def products(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every combination of two ragged lists that share their centres.

    `first` and `second` (C,) are the numbers of entries each centre has in the two lists, which are
    flat and ordered by centre. Returns the positions in the first and in the second list of all
    sum(first * second) combinations.
    """
    sizes = first * second
    centre = np.repeat(np.arange(len(sizes)), sizes)
    offset = np.arange(len(centre)) - (np.cumsum(sizes) - sizes)[centre]
    quotient, remainder = np.divmod(offset, second[centre])
    starts = np.cumsum(first) - first, np.cumsum(second) - second
    return starts[0][centre] + quotient, starts[1][centre] + remainder
