"""Steps of every projection of atoms onto sites, R = M r: mapping, whole groups, unwrapping."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from dynmatch.sites.box import lattice_vector, minimum_image

Generations = list[tuple[np.ndarray, np.ndarray]]
"""Atoms (n,), and the atoms (n,) that they are put next to."""


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


def make_whole(
    positions: np.ndarray,
    groups: Sequence[np.ndarray],
    box: np.ndarray,
    bonds: Sequence[tuple[int, int]] = (),
) -> np.ndarray:
    """Move each atom to its image next to an atom of its group that it is bonded to, beginning with
    the group's first; where no bonds lead to it, next to the first.

    positions (F, n, 3), nm; bonds are pairs of atoms. Right while bonds, and the way to an atom
    without, are shorter than half a height of the box.
    """
    return put_next_to(positions, generations(groups, bonds), box)


def put_next_to(positions: np.ndarray, order: Generations, box: np.ndarray) -> np.ndarray:
    """`make_whole`, in the `order` of `generations`."""
    whole = np.array(positions)
    for atoms, anchors in order:
        whole[:, atoms] -= lattice_vector(whole[:, atoms] - whole[:, anchors], box)
    return whole


def generations(groups: Sequence[np.ndarray], bonds: Sequence[tuple[int, int]]) -> Generations:
    """Atoms and those that they are put next to, which come in an earlier generation."""
    near: dict[int, list[int]] = {}
    for i, j in bonds:
        near.setdefault(int(i), []).append(int(j))
        near.setdefault(int(j), []).append(int(i))
    found: list[list[tuple[int, int]]] = []
    for group in groups:
        waiting = set(int(atom) for atom in group[1:])
        last, depth = [int(group[0])], 0
        while waiting:
            steps = {j: i for i in last for j in near.get(i, ()) if j in waiting}
            if not steps:
                # no bond leads on: one more, next to the first
                steps = {min(waiting): int(group[0])} if near else dict.fromkeys(waiting, last[0])
            if depth == len(found):
                found.append([])
            found[depth] += steps.items()
            waiting -= steps.keys()
            last, depth = list(steps), depth + 1
    return [tuple(np.array(each).T) for each in found]


def unwrap(positions: np.ndarray, previous: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Follow sites across the boundary, frame by frame.

    positions (F, N, 3) in any image; previous (N, 3), the unwrapped frame before them;
    all in nm. Right while a site moves less than half a height of the box between frames.
    """
    steps = np.diff(positions, axis=0, prepend=previous[None])
    # the first difference is to an unwrapped frame: it may hold any number of box edges
    return previous + np.cumsum(minimum_image(steps, box), axis=0)
