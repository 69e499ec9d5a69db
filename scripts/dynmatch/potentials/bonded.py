r"""Bonded terms of molecules of several sites: bonds, angles and dihedrals, all of one form,

    U(q) = prior(q) + kB T s(q),

of a coordinate q: r (nm), cos theta or phi (radian). The prior is fixed before training:

    bond      k/2 (r - r0)^2
    angle     k/2 (cos theta - c0)^2
    dihedral  sum_{n=1..4} a_n cos(n phi) + b_n sin(n phi)

The sines let a chiral molecule be one. s is a cubic spline, linear in its coefficients, which are
learned. Beyond its ends s goes on as a straight line, so that the harmonic prior confines; that of
a dihedral is periodic. A coordinate without a spline, as a rigid bond is, keeps its prior. Where
the terms are in a system is told by its topology.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.errors import DynmatchError
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.plain import record_of, tuples

FOURIER_ORDER = 4
LEAST_INTERVALS = 4
"""Of a spline, one more than the coefficients that a basis function of it is made of."""


@dataclass(frozen=True)
class Spline:
    """s(q) on equal intervals from `low` to `high`, in units of `thermal_energy` (kJ/mol).

    It has two derivatives everywhere. One that is not periodic has none of the second order at its
    ends, and goes on as a straight line.

    Raises DynmatchError for limits or a number of intervals that make none.
    """

    low: float
    high: float
    intervals: int
    thermal_energy: float
    periodic: bool = False

    def __post_init__(self):
        if not self.low < self.high or self.intervals < LEAST_INTERVALS:
            raise DynmatchError(
                f"a bonded spline from {self.low} to {self.high} on {self.intervals} intervals; "
                f"low must be below high, and there must be {LEAST_INTERVALS} intervals at least"
            )

    @property
    def size(self) -> int:
        """Number of coefficients."""
        return self.intervals + (0 if self.periodic else 1)

    @property
    def step(self) -> float:
        """Between two knots."""
        return (self.high - self.low) / self.intervals

    def value(self, coefficients, q, derivative: int = 0, xp=jnp):
        """s or its first derivative, over kB T, of `coefficients` (`size`,) at q, an array.

        `xp` is NumPy or JAX's.
        """
        c = self.with_ends(coefficients, xp)
        place = (q - self.low) / self.step
        if self.periodic:
            place = place % self.intervals
        inside = xp.clip(place, 0.0, self.intervals)
        node = xp.clip(xp.floor(inside).astype(int), 0, self.intervals - 1)
        weights = _weights(inside - node, derivative)
        within = sum(weight * c[node + k] for k, weight in enumerate(weights))
        slope = 0.5 * xp.where(place < 0.0, c[2] - c[0], c[-1] - c[-3])
        if derivative:
            return xp.where(place == inside, within, slope) / self.step
        return within + slope * (place - inside)

    def design(self, q: np.ndarray) -> np.ndarray:
        """Matrix (len(q), size) that takes coefficients to s(q) over kB T."""
        return np.stack([self.value(unit, q, xp=np) for unit in np.eye(self.size)], -1)

    def roughness(self, coefficients: Array) -> Array:
        """Sum of the squared third differences of the coefficients, (kB T)^2."""
        return jnp.sum(jnp.diff(self.with_ends(coefficients, jnp), 3) ** 2)

    def with_ends(self, c, xp):
        """Coefficients (intervals + 3,) of the basis functions, all that are not zero anywhere."""
        if self.periodic:
            return xp.concatenate([c, c[:3]])
        # the second derivative at an end is c0 - 2 c1 + c2
        return xp.concatenate([2 * c[:1] - c[1:2], c, 2 * c[-1:] - c[-2:-1]])


def _weights(t, derivative: int):
    """Of four coefficients, at a fraction t of the way from one knot to the next."""
    if derivative:
        return (
            -0.5 * (1 - t) ** 2,
            1.5 * t**2 - 2 * t,
            -1.5 * t**2 + t + 0.5,
            0.5 * t**2,
        )
    return (
        (1 - t) ** 3 / 6,
        0.5 * t**3 - t**2 + 2 / 3,
        -0.5 * t**3 + 0.5 * t**2 + 0.5 * t + 1 / 6,
        t**3 / 6,
    )


@dataclass(frozen=True)
class Kind:
    """One kind of bond, angle or dihedral, wherever it occurs.

    names      of the types along it
    parameters of the prior: (r0 nm, k kJ/mol/nm^2), (c0, k kJ/mol), or a_1 ... a_4, b_1 ... b_4 in
               kJ/mol
    spline     what is learned; None for the prior alone

    Raises DynmatchError for a length or a stiffness that is not positive.
    """

    names: tuple[str, ...]
    parameters: tuple[float, ...]
    spline: Spline | None = None

    def __post_init__(self):
        positive = {2: self.parameters, 3: self.parameters[1:]}.get(len(self.names), ())
        if not all(value > 0 for value in positive):
            raise DynmatchError(f"kinds: {self.label}: parameters {self.parameters} are no spring")

    @property
    def label(self) -> str:
        return "-".join(self.names)

    def energy(self, coefficients, q, derivative: int = 0, xp=jnp):
        """U or its first derivative, kJ/mol over the unit of q, at an array of q; `coefficients`
        (size,) of the spline, None where there is none. `xp` is NumPy or JAX's."""
        total = self._prior(q, derivative, xp)
        if self.spline is None:
            return total
        learned = self.spline.value(coefficients, q, derivative, xp)
        return total + self.spline.thermal_energy * learned

    @property
    def prior_formula(self) -> str:
        """The prior as an expression in q, kJ/mol, for engines that take one."""
        if len(self.names) < 4:
            centre, k = self.parameters
            return f"{0.5 * k!r}*(q - {centre!r})^2"
        a, b = self.parameters[:FOURIER_ORDER], self.parameters[FOURIER_ORDER:]
        return " + ".join(
            f"{a_n!r}*cos({n}*q) + {b_n!r}*sin({n}*q)"
            for n, (a_n, b_n) in enumerate(zip(a, b, strict=True), 1)
        )

    def _prior(self, q, derivative: int, xp):
        if len(self.names) < 4:
            centre, k = self.parameters
            return k * (q - centre) if derivative else 0.5 * k * (q - centre) ** 2
        total = 0.0
        for n in range(1, FOURIER_ORDER + 1):
            a, b = self.parameters[n - 1], self.parameters[FOURIER_ORDER + n - 1]
            cosine, sine = xp.cos(n * q), xp.sin(n * q)
            total += n * (b * cosine - a * sine) if derivative else a * cosine + b * sine
        return total


@dataclass(frozen=True)
class Form:
    """All kinds of bonded terms.

    Parameters: {"bonded": {"A-B": (size,)}}, coefficients, kB T, of each kind that has a spline;
    none where no kind has.
    """

    kind: ClassVar[str] = "bonded"
    sees: ClassVar[str] = "neighbours"
    all_pairs_up_to: ClassVar[int] = 0

    kinds: tuple[Kind, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        return ("bonded",) if self._learned else ()

    @property
    def reach(self) -> float:
        return 0.0

    @property
    def _learned(self) -> list[Kind]:
        return [kind for kind in self.kinds if kind.spline]

    def initialise(self, key: Array) -> dict:
        """No splines."""
        zeros = {kind.label: jnp.zeros(kind.spline.size) for kind in self._learned}
        return {group: zeros for group in self.groups}

    def tabulate(self, parameters: dict) -> dict[str, Array]:
        """The coefficients themselves, by kind."""
        return parameters.get("bonded", {})

    def energy(
        self, tables: dict[str, Array], positions, box, topology: SiteTopology, neighbours
    ) -> Array:
        total = jnp.zeros((), positions.dtype)
        for kind in self.kinds:
            sites = topology.bonded_kinds.get(kind.names)
            if sites is None:
                continue
            q = coordinate(positions, sites, box, jnp)
            total += jnp.sum(kind.energy(tables.get(kind.label), q))
        return total

    def force(
        self, tables: dict[str, Array], positions, box, topology: SiteTopology, neighbours
    ) -> Array:
        return -jax.grad(lambda x: self.energy(tables, x, box, topology, neighbours))(positions)

    def roughness(self, parameters: dict) -> Array:
        """Mean squared third difference of the coefficients, (kB T)^2."""
        tables, learned = self.tabulate(parameters), self._learned
        total = sum((k.spline.roughness(tables[k.label]) for k in learned), start=jnp.float32(0.0))
        return total / max(1, sum(kind.spline.size for kind in learned))

    def require(self, topology: SiteTopology) -> None:
        """Raises DynmatchError for bonds, angles or dihedrals that it has no parameters for."""
        unknown = topology.bonded_kinds.keys() - {kind.names for kind in self.kinds}
        if unknown:
            known = ", ".join(kind.label for kind in self.kinds)
            raise DynmatchError(
                f"the model has no bonded term for {', '.join(map('-'.join, sorted(unknown)))}; "
                f"it knows {known or 'none'}"
            )

    def record(self) -> dict:
        return record_of(self)

    @classmethod
    def of_record(cls, record: dict) -> "Form":
        return cls(tuple(_kind_of(each) for each in record["kinds"]))


def _kind_of(record: dict[str, Any]) -> Kind:
    """Models of before there were splines have none."""
    given = {key: tuples(value) for key, value in record.items() if key != "spline"}
    spline = record.get("spline")
    return Kind(**given, spline=None if spline is None else Spline(**spline))
