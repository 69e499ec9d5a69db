r"""Bonded terms of molecules of several sites: bonds, angles and dihedrals, fitted to a reference.

    bond      k/2 (r - r0)^2
    angle     k/2 (cos theta - c0)^2
    dihedral  sum_{n=1..4} a_n cos(n phi) + b_n sin(n phi)

They are priors, fixed before training: each is the Boltzmann inverse of its own distribution in the
reference, as if the coordinates were independent. In r the measure r^2 is allowed for; cos theta
and phi have a flat one. The sines let a chiral molecule be one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.sites.topology import coordinate, kinds_of
from dynmatch.sites.trajectory import SiteTrajectory

FOURIER_ORDER = 4
DIHEDRAL_BINS = 72
FRAMES = 2000
"""Frames of the reference that a term is fitted to, at most."""


@dataclass(frozen=True)
class BondedTerm:
    """One kind of bond, angle or dihedral, wherever it occurs.

    names      of the types along it
    sites      tuples of two, three or four sites
    parameters (r0 nm, k kJ/mol/nm^2), (c0, k kJ/mol), or a_1 ... a_4, b_1 ... b_4 in kJ/mol
    """

    names: tuple[str, ...]
    sites: tuple[tuple[int, ...], ...]
    parameters: tuple[float, ...]


def fit(trajectory: SiteTrajectory, kT: float, width: float) -> tuple[BondedTerm, ...]:
    """Every bonded term that the topology of `trajectory` implies.

    width  nm: a coordinate narrower than that, as a rigid bond is, is given this standard deviation
           (an angle, width over the bond length), so that a time step of some fs can follow it
    """
    stride = max(1, trajectory.n_frames // FRAMES)
    positions = trajectory.positions[::stride]
    return tuple(
        BondedTerm(along, tuple(sites), _parameters(positions, sites, trajectory.box, kT, width))
        for along, sites in kinds_of(trajectory.topology).items()
    )


def _parameters(positions, sites, box, kT: float, width: float) -> tuple[float, ...]:
    values = coordinate(positions, np.array(sites), box)
    if len(sites[0]) == 2:
        return length(values, kT, width)
    if len(sites[0]) == 3:
        chain = np.array(sites)
        arm = np.mean(coordinate(positions, chain[:, :2], box))
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


def energy(terms: Sequence[BondedTerm], positions: Array, box: Array) -> Array:
    """Sum of all terms, kJ/mol, at positions (N, 3), nm."""
    total = jnp.zeros((), positions.dtype)
    for term in terms:
        q = coordinate(positions, np.array(term.sites), box, jnp)
        if len(term.names) < 4:
            centre, k = term.parameters
            total += 0.5 * k * jnp.sum((q - centre) ** 2)
        else:
            for n in range(FOURIER_ORDER):
                a, b = term.parameters[n], term.parameters[FOURIER_ORDER + n]
                total += jnp.sum(a * jnp.cos((n + 1) * q) + b * jnp.sin((n + 1) * q))
    return total
