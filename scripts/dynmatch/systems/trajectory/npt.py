"""Boxes that change, as a barostat makes them: one for all frames, which coordinates are scaled to.

A model is of one volume. Coordinates in units of the box's vectors are kept, so that a site that
crosses a face and one that does not are moved alike; a distance changes as the box does.
"""

import logging
from collections.abc import Sequence

import numpy as np

from dynmatch.errors import DynmatchError

SAME = 1e-4
"""Over its longest edge: how far a box may be off the first and still be the same."""
SMALL = 0.01
"""Standard deviation of the vectors' components over the vector's length up to which boxes are
scaled unasked: distances between neighbours then change by some 0.003 nm."""


def common(
    vectors: Sequence[np.ndarray], box: str, key: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """One box (3, 3), nm, for the frames of all files, whose boxes are `vectors` (F, 3, 3) each;
    and the factor (F,) by which a frame's lengths are scaled to it, or None where all are one.

    box  "mean": the mean of all boxes, where they vary by less than 1 %;
         "scale": the mean, by however much they vary

    Raises DynmatchError, naming `key`, where they vary by more.
    """
    first = vectors[0][0]
    every = nearest(np.concatenate(vectors), first)
    if same(every, first):
        return first, None
    mean = every.mean(0)
    spread = (every.std(0) / np.linalg.norm(mean, axis=1, keepdims=True)).max()
    scale = np.cbrt(np.linalg.det(mean) / np.linalg.det(every))
    said = f"the box changes, with a standard deviation of {100 * spread:.2g} %"
    if box == "mean" and spread >= SMALL:
        raise DynmatchError(
            f"{key}: {said}, and only boxes that vary by less than {100 * SMALL:g} % are scaled to "
            "their mean unasked: take equilibrated trajectories of one volume, or set it to scale"
        )
    logging.info(
        "%s: coordinates are scaled to its mean, by factors from %.4f to %.4f",
        said,
        scale.min(),
        scale.max(),
    )
    return mean, scale


def nearest(vectors: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Vectors (..., 3, 3) of the same periodic images, as near as can be to the box `other` (3, 3):
    engines flip the vectors of a box that is sheared beyond half an edge."""
    made = np.array(vectors, np.float64)
    for row, across in ((2, 1), (2, 0), (1, 0)):
        off = (made[..., row, across] - other[row, across]) / made[..., across, across]
        made[..., row, :] -= np.round(off)[..., None] * made[..., across, :]
    return made


def same(old: np.ndarray, new: np.ndarray) -> bool:
    """Whether boxes `old` (..., 3, 3) are the box `new` but for rounding."""
    return bool(np.abs(old - new).max() <= SAME * new.max())


def scaled(positions: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Positions (F, n, 3), nm, in boxes `old` (3, 3) or (F, 3, 3) as they are in the box `new`; as
    they were, where the boxes are the same."""
    old = nearest(old, new)
    if same(old, new):
        return positions
    return positions @ (np.linalg.inv(old) @ new)
