"""The periodic box: the one place that knows a rectangular box from a triclinic one.

A box is an array, nm: the edges (3,) of a rectangular one; or the vectors (3, 3) of a triclinic
one, one a row, the first along x and the second in the xy plane, and none longer across the others
than half of them (`reduced`), as GROMACS, LAMMPS and OpenMM have it. `minimum_image` is right up to
half the least of the box's `heights`, which is how far a cutoff may reach.

Functions with `xp` take NumPy's arrays or JAX's.
"""

from itertools import product

import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.units import AMU_PER_NM3

RIGHT_ANGLE = 1e-3
"""Degrees that an angle in a file may be off 90."""
ROUNDING = 1e-6
"""Of vectors in files, over their length."""
SHIFTS = np.array(sorted(product((0, -1, 1), repeat=3), key=lambda shift: shift != (0, 0, 0)))
"""(27, 3): a box and those around it, itself first."""


def is_rectangular(box) -> bool:
    return np.ndim(box) < 2


def matrix(box) -> np.ndarray:
    """(3, 3) nm: the vectors of the box, one a row."""
    box = np.asarray(box, np.float64)
    return np.diag(box) if is_rectangular(box) else box


def reduced(vectors) -> np.ndarray:
    """The box of the same periodic images as `vectors` (3, 3), nm: (3,) where it is rectangular.

    Raises DynmatchError where the first is not along x, or the second not in the xy plane: the
    positions would have to be turned with them.
    """
    made = np.array(vectors, np.float64)
    if made.shape == (3,):
        return made
    small = ROUNDING * np.abs(made).max()
    if made.shape != (3, 3) or np.abs(made[[0, 0, 1], [1, 2, 2]]).max() > small:
        raise DynmatchError(
            f"box {made.tolist()} nm: its first vector has to be along x and its second in the xy "
            "plane; turn it and the positions so that they are"
        )
    made = np.tril(made)
    for row, across in ((2, 1), (2, 0), (1, 0)):
        edge = made[across, across]
        # half an edge, as in a dodecahedron, stays so with the rounding of files
        made[row] -= made[across] * np.round((1 - ROUNDING) * made[row, across] / edge)
        made[row, across] = np.clip(made[row, across], -edge / 2, edge / 2)
    if np.abs(made[[1, 2, 2], [0, 0, 1]]).max() <= small:
        return np.diag(made).copy()
    return made


def vectors_of(lengths, angles) -> np.ndarray:
    """(..., 3, 3) nm: the vectors of boxes of these lengths (..., 3), nm, and angles, degrees,
    between the second and the third, the third and the first, the first and the second. They are
    those of the file, not `reduced`: in a box that changes they change as little as it does."""
    lengths, angles = (np.asarray(each, np.float64) for each in (lengths, angles))
    right = np.abs(angles - 90) <= RIGHT_ANGLE
    alpha, beta, gamma = np.moveaxis(np.where(right, 0.0, np.cos(np.radians(angles))), -1, 0)
    made = np.zeros((*lengths.shape, 3))
    sine = np.sqrt(1 - gamma**2)
    made[..., 0, 0] = 1.0
    made[..., 1, 0], made[..., 1, 1] = gamma, sine
    made[..., 2, 0], made[..., 2, 1] = beta, (alpha - beta * gamma) / sine
    made[..., 2, 2] = np.sqrt(1 - made[..., 2, 0] ** 2 - made[..., 2, 1] ** 2)
    return lengths[..., None] * made


def lengths_and_angles(box) -> tuple[np.ndarray, np.ndarray]:
    """Lengths (3,), nm, and angles (3,), degrees, of the box, in the order of `vectors_of`."""
    if is_rectangular(box):
        return np.asarray(box, np.float64), np.full(3, 90.0)
    vectors = matrix(box)
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / lengths[:, None]
    cosines = [unit[1] @ unit[2], unit[2] @ unit[0], unit[0] @ unit[1]]
    return lengths, np.degrees(np.arccos(cosines))


def hashable(box) -> tuple:
    """The box as nested tuples of numbers."""
    edges = np.asarray(box, np.float64).tolist()
    return tuple(edges) if is_rectangular(box) else tuple(map(tuple, edges))


def cubic_edge(mass: float, density: float) -> float:
    """Edge in nm of the cube that holds `mass` (amu) at `density` (g/cm^3)."""
    return (mass * AMU_PER_NM3 / density) ** (1 / 3)


def volume(box) -> float:
    """nm^3"""
    return float(np.prod(box if is_rectangular(box) else np.diagonal(box)))


def heights(box) -> np.ndarray:
    """(3,) nm: distances between opposite faces of the box."""
    if is_rectangular(box):
        return np.asarray(box)
    a, b, c = matrix(box)
    return volume(box) / np.linalg.norm([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)


def components_of_image(d: list, box, xp=np) -> list:
    """The shortest periodic image of separations with the three components `d`, nm."""
    if is_rectangular(box):
        return [d[k] - box[k] * xp.round(d[k] / box[k]) for k in range(3)]
    for k in (2, 1, 0):
        count = xp.round(d[k] / box[k, k])
        d = [d[m] - box[k, m] * count if m <= k else d[m] for m in range(3)]
    return d


def minimum_image(d, box, xp=np):
    """The shortest periodic image of separations d (..., 3), nm; d itself where `box` is None."""
    return d if box is None else d - lattice_vector(d, box, xp)


def lattice_vector(d, box, xp=np):
    """By how many boxes (..., 3), nm, separations d (..., 3) are longer than their shortest
    image."""
    if is_rectangular(box):
        return box * xp.round(d / box)
    return d - xp.stack(components_of_image([d[..., k] for k in range(3)], box, xp), -1)


def wrap(positions, box, xp=np):
    """Positions (..., 3), nm, moved into the box."""
    if is_rectangular(box):
        return xp.mod(positions, box)
    count = xp.floor(xp.stack(_fractions(positions, box), -1))
    return positions - count @ box


def from_faces(positions, box, xp=np):
    """Distances (..., 3), nm, of positions in the box from its three faces at the origin: between 0
    and the `heights`, and the positions themselves in a rectangular box."""
    if is_rectangular(box):
        return positions
    return xp.mod(xp.stack(_fractions(positions, box), -1), 1.0) * heights(box)


def components_from_faces(distances: list, box) -> list:
    """The three components of positions, from the three components that `from_faces` gives."""
    if is_rectangular(box):
        return distances
    vectors, high = matrix(box), heights(box)
    parts = [distances[k] / high[k] for k in range(3)]
    return [sum(parts[k] * vectors[k, m] for k in range(m, 3)) for m in range(3)]


def _fractions(positions, box) -> list:
    """Components of positions in units of the vectors of a triclinic box."""
    x, y, z = (positions[..., k] for k in range(3))
    third = z / box[2, 2]
    second = (y - third * box[2, 1]) / box[1, 1]
    return [(x - second * box[1, 0] - third * box[2, 0]) / box[0, 0], second, third]


def points_for_tree(
    frame: np.ndarray, box: np.ndarray | None, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """What a `scipy.spatial.KDTree` needs to find all neighbours within `reach`, nm, of sites at
    `frame` (N, 3): points (P, 3), float64, of which the first N are the sites in the box; which
    site (P,) each stands for; and the tree's `boxsize`.

    A tree knows rectangular boxes by itself. About a triclinic one, its images are put.
    """
    n = len(frame)
    if box is None:
        return np.asarray(frame, np.float64), np.arange(n), None
    if is_rectangular(box):
        wrapped = np.mod(frame, box, dtype=np.float64)
        # np.mod rounds tiny negative values up to the edge itself
        return np.where(wrapped >= box, 0.0, wrapped), np.arange(n), box
    parts = np.mod(np.stack(_fractions(np.asarray(frame, np.float64), box), -1), 1.0)
    shifted = np.where(parts >= 1, 0.0, parts) + SHIFTS[:, None]
    beyond = np.abs(shifted - 0.5) - 0.5
    near = (beyond * heights(box) <= reach).all(-1)
    return shifted[near] @ box, np.nonzero(near)[1], None
