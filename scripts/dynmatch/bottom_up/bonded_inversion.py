r"""Bonded terms from their own distributions in a reference.

Each is fitted as if the coordinates were independent: a harmonic or cosine prior as the Boltzmann
inverse, and a spline on it by relative entropy in one dimension,

    S(c) = <U>_AA/kB T + ln int J(q) exp(-U(q)/kB T) dq,

which is convex in the coefficients c. J is r^2 in r; cos theta and phi have a flat measure.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from dynmatch.potentials.bonded import FOURIER_ORDER, LEAST_INTERVALS, Form, Kind, Spline
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.trajectory import SiteTrajectory

DIHEDRAL_BINS = 72
DIHEDRAL_INTERVALS = 36
MOST_INTERVALS = 40
"""Of the spline of a bond or an angle."""
TAIL = 5e-4
"""Share of the values beyond either end of a spline."""
FRAMES = 2000
"""Frames of the reference that a term is fitted to, at most."""
SMOOTHNESS = 3e-4
"""Weight of squared third differences of coefficients (kB T)^2 against the entropy of a value."""
RIDGE = 1e-2
"""Of squared coefficients, over that of third differences."""
TOLERANCE = 1e-7
"""Of the gradient of the entropy at the end."""
NODES = 4000
"""Of the integral over q."""


def fit(trajectory: SiteTrajectory, kT: float, width: float) -> tuple[Form, dict]:
    """Every kind of bonded term that the topology of `trajectory` implies, and its parameters.

    width  nm: a coordinate narrower than that, as a rigid bond is, is given this standard deviation
           (an angle, width over the bond length) and no spline, so that a time step of some fs can
           follow it; knots of splines are as far apart at least
    """
    stride = max(1, trajectory.n_frames // FRAMES)
    positions = trajectory.positions[::stride]
    kinds, coefficients = [], {}
    for along, sites in trajectory.topology.bonded_kinds.items():
        kind, values = _fitted(along, positions, sites, trajectory.box, kT, width)
        kinds.append(kind)
        if kind.spline:
            coefficients[kind.label] = values
    form = Form(tuple(kinds))
    return form, {group: coefficients for group in form.groups}


def _fitted(along, positions, sites, box, kT: float, width: float) -> tuple[Kind, np.ndarray]:
    """One kind and the coefficients of its spline, if any."""
    values = coordinate(positions, sites, box).ravel().astype(np.float64)
    if len(along) == 4:
        spline = Spline(-np.pi, np.pi, DIHEDRAL_INTERVALS, kT, periodic=True)
        kind = Kind(along, fourier(values, kT), spline)
        return kind, spline_coefficients(kind, values, kT, (-np.pi, np.pi), 0)
    if len(along) == 3:
        # of a unit of length at the end of an arm
        width = width / np.mean(coordinate(positions, sites[:, :2], box))
        prior, ends, power = harmonic(values, kT, width), (-1.0, 1.0), 0
    else:
        prior, ends, power = length(values, kT, width), (0.0, 2 * np.max(values)), 2
    if np.std(values) <= width:
        return Kind(along, prior), np.empty(0)
    low, high = np.quantile(values, [TAIL, 1 - TAIL])
    intervals = int(np.clip((high - low) / width, LEAST_INTERVALS, MOST_INTERVALS))
    kind = Kind(along, prior, Spline(float(low), float(high), intervals, kT))
    return kind, spline_coefficients(kind, values, kT, ends, power)


def spline_coefficients(
    kind: Kind, values: np.ndarray, kT: float, ends: tuple[float, float], power: int
) -> np.ndarray:
    """Coefficients (size,) of the spline of `kind` for which independent `values` (F,) of its
    coordinate, between `ends`, with the measure q^power, are likeliest."""
    q = np.linspace(*ends, NODES)
    design, seen = kind.spline.design(q), np.mean(kind.spline.design(values), 0)
    size = kind.spline.size
    # a constant in s is no change, and what has no data has no slope: both stay near zero
    smooth = SMOOTHNESS * (_third_differences(kind.spline) + RIDGE * np.eye(size))
    measure = np.log(np.maximum(q**power, np.finfo(float).tiny))
    bare = kind.energy(np.zeros(size), q, xp=np) / kT - measure

    def weights(coefficients):
        exponents = -(bare + design @ coefficients)
        total = logsumexp(exponents)
        return np.exp(exponents - total), total

    def entropy(coefficients):
        weight, total = weights(coefficients)
        penalty = smooth @ coefficients
        value = seen @ coefficients + total + 0.5 * coefficients @ penalty
        return value, seen - weight @ design + penalty

    def hessian(coefficients):
        weight, _ = weights(coefficients)
        mean = weight @ design
        return (design * weight[:, None]).T @ design - np.outer(mean, mean) + smooth

    found = minimize(
        entropy,
        np.zeros(size),
        jac=True,
        hess=hessian,
        method="trust-exact",
        options={"gtol": TOLERANCE},
    )
    return found.x


def _third_differences(spline: Spline) -> np.ndarray:
    """(size, size) of the quadratic form `Spline.roughness`."""
    rows = np.stack([np.diff(spline.with_ends(unit, np), 3) for unit in np.eye(spline.size)])
    return rows @ rows.T


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
