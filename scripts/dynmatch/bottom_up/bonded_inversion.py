r"""Bonded terms as Boltzmann inverses of their own distributions in a reference.

Each is fitted as if the coordinates were independent. In r the measure r^2 is allowed for; cos
theta and phi have a flat one.
"""

import numpy as np

from dynmatch.potentials.bonded import FOURIER_ORDER, Form, Kind
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.trajectory import SiteTrajectory

DIHEDRAL_BINS = 72
FRAMES = 2000
"""Frames of the reference that a term is fitted to, at most."""


def fit(trajectory: SiteTrajectory, kT: float, width: float) -> Form:
    """Every kind of bonded term that the topology of `trajectory` implies.

    width  nm: a coordinate narrower than that, as a rigid bond is, is given this standard deviation
           (an angle, width over the bond length), so that a time step of some fs can follow it
    """
    stride = max(1, trajectory.n_frames // FRAMES)
    positions = trajectory.positions[::stride]
    kinds = trajectory.topology.bonded_kinds
    return Form(
        tuple(
            Kind(along, _parameters(positions, sites, trajectory.box, kT, width))
            for along, sites in kinds.items()
        )
    )


def _parameters(positions, sites, box, kT: float, width: float) -> tuple[float, ...]:
    values = coordinate(positions, sites, box)
    if sites.shape[1] == 2:
        return length(values, kT, width)
    if sites.shape[1] == 3:
        arm = np.mean(coordinate(positions, sites[:, :2], box))
        return harmonic(values, kT, width / arm)
    return fourier(values, kT)


def harmonic(values: np.ndarray, kT: float, width: float = 0.0) -> tuple[float, float]:
    """Centre and k (kJ/mol over the square of their unit) of values with a flat measure, whose
    standard deviation is taken to be `width` at least."""
    return float(np.mean(values)), float(kT / max(np.std(values), width) ** 2)


def length(r: np.ndarray, kT: float, width: float) -> tuple[float, float]:
    """r0 (nm) and k (kJ/mol/nm^2) of the length of a bond."""
    mean, k = harmonic(r, kT, width)
    # the mean of r^2 exp(-(r - r0)^2/2 s^2) is r0 + 2 s^2/r0 to first order
    return mean - 2 * kT / k / mean, k


def fourier(phi: np.ndarray, kT: float) -> tuple[float, ...]:
    """a_1 ... a_4, b_1 ... b_4 in kJ/mol of a dihedral phi (F,), radian.

    Least squares of -kT ln p(phi) on the harmonics, weighted by p: empty bins do not count.
    """
    density, edges = np.histogram(phi, DIHEDRAL_BINS, (-np.pi, np.pi), density=True)
    centre = 0.5 * (edges[1:] + edges[:-1])
    seen = density > 0
    n = np.arange(1, FOURIER_ORDER + 1)
    angles = centre[seen, None] * n
    design = np.concatenate([np.ones((seen.sum(), 1)), np.cos(angles), np.sin(angles)], 1)
    weight = np.sqrt(density[seen])
    # a weak penalty decides where phi never goes
    ridge = 1e-3 * np.eye(design.shape[1])
    matrix = np.concatenate([weight[:, None] * design, ridge])
    right = np.concatenate([-kT * weight * np.log(density[seen]), np.zeros(len(ridge))])
    return tuple(float(x) for x in np.linalg.lstsq(matrix, right, rcond=None)[0][1:])
