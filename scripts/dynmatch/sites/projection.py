"""Steps of every projection of atoms onto sites, R = M r: mapping, whole groups, unwrapping."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from dynmatch.sites.box import lattice_vector, minimum_image


def centre_of_mass_mapping(groups: Sequence[np.ndarray], mass: np.ndarray) -> csr_array:
    """M (N, n): row I holds m_i / sum of m over the atoms i of group I; `mass` (n,), amu."""
    row = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    column = np.concatenate(groups)
    total = np.array([mass[group].sum() for group in groups])
    weight = mass[column] / total[row]
    # explicit zeros would make virtual sites count as atoms
    keep = weight > 0
    shape = (len(groups), len(mass))
    return csr_array((weight[keep], (row[keep], column[keep])), shape=shape)


def apply_mapping(matrix: csr_array, values: np.ndarray) -> np.ndarray:
    """`matrix` (N, n) times each frame of `values`: (F, n, 3) to (F, N, 3), in double precision."""
    frames, count, _ = values.shape
    columns = values.transpose(1, 0, 2).reshape(count, -1).astype(np.float64)
    return (matrix @ columns).reshape(-1, frames, 3).transpose(1, 0, 2)


def make_whole(positions: np.ndarray, groups: Sequence[np.ndarray], box: np.ndarray) -> np.ndarray:
    """Move each atom to its image next to the first atom of its group.

    positions (F, n, 3), nm. Right for groups that reach less than half a height of the box from
    their first atom.
    """
    first = np.arange(positions.shape[1])
    for group in groups:
        first[group] = group[0]
    return positions - lattice_vector(positions - positions[:, first], box)


def unwrap(positions: np.ndarray, previous: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Follow sites across the boundary, frame by frame.

    positions (F, N, 3) in any image; previous (N, 3), the unwrapped frame before them;
    all in nm. Right while a site moves less than half a height of the box between frames.
    """
    steps = np.diff(positions, axis=0, prepend=previous[None])
    # the first difference is to an unwrapped frame: it may hold any number of box edges
    return previous + np.cumsum(minimum_image(steps, box), axis=0)
