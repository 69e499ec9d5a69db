r"""The pair term: sum_{i<j} u_ab(r_ij), a and b the types of i and j.

u is a cubic spline in r on top of a fixed repulsive core. Before a simulation it is turned into a
table once: the force over r on a uniform grid in r^2, linear between the nodes, with the energy as
its exact integral. The cost of a force evaluation does then not depend on the number of spline
coefficients.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.interpolate import BSpline

from dynmatch.potentials.base import type_pairs
from dynmatch.potentials.separations import BLOCK, in_blocks, separations
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.plain import record_of, tuples

TABLE_NODES = 1024


@dataclass(frozen=True)
class Curve:
    """u(r) of one pair of types: its fixed part.

    cutoff         nm, where it ends
    core           nm, where the repulsive core reaches `thermal_energy`
    thermal_energy kB T, kJ/mol: the scale of the spline
    basis          number of spline coefficients
    """

    cutoff: float
    core: float
    thermal_energy: float
    basis: int

    @property
    def knots(self) -> np.ndarray:
        """Uniform knots, nm; the spline and two derivatives vanish at the cutoff."""
        spacing = (self.cutoff - 0.6 * self.core) / self.basis
        return 0.6 * self.core + spacing * np.arange(-3, self.basis + 4)

    def design(self, r: np.ndarray, derivative: int = 0) -> np.ndarray:
        """Matrix (len(r), basis) that takes coefficients to u(r), or its derivative, over kB T.

        The first basis functions continue linearly below the first knot inside the core, and the
        three functions that do not vanish smoothly at the cutoff are left out.
        """
        t = self.knots
        splines = BSpline(t, np.eye(len(t) - 4), 3)
        low = t[3]
        inside = np.clip(r, low, self.cutoff)
        value = splines.derivative(derivative)(inside) if derivative else splines(inside)
        below = (r < low)[:, None]
        if derivative == 0:
            value = np.where(below, value + (r - low)[:, None] * splines.derivative(1)(low), value)
        elif derivative > 1:
            value = np.where(below, 0.0, value)
        return np.where((r < self.cutoff)[:, None], value, 0.0)[:, : self.basis]

    def core_energy(self, r: np.ndarray, derivative: int = 0) -> np.ndarray:
        """Fixed repulsion (core/r)^12 over kB T, shifted to vanish smoothly at the cutoff."""
        r = np.maximum(r, 0.5 * self.core)
        x, y = self.core / r, self.core / self.cutoff
        slope = -12.0 * y**12 / self.cutoff
        if derivative == 0:
            return np.where(r < self.cutoff, x**12 - y**12 - slope * (r - self.cutoff), 0.0)
        return np.where(r < self.cutoff, -12.0 * x**12 / r - slope, 0.0)

    def nearest(self, r: np.ndarray, energy: np.ndarray) -> np.ndarray:
        """Coefficients of the curve that is nearest to `energy` (kJ/mol) at distances r (nm).

        A weak penalty on the third difference of the coefficients decides where there are no data.
        """
        target = energy / self.thermal_energy - self.core_energy(r)
        smooth = 1e-2 * np.diff(np.eye(self.basis), 3, axis=0)
        matrix = np.concatenate([self.design(r), smooth])
        right = np.concatenate([target, np.zeros(len(smooth))])
        return np.linalg.lstsq(matrix, right, rcond=None)[0]

    def table(self, coefficients: Array) -> tuple[Array, Array]:
        """Force over r and energy, each (TABLE_NODES,), kJ/mol/nm^2 and kJ/mol."""
        step = self.cutoff**2 / (TABLE_NODES - 1)
        r = np.sqrt(step * np.arange(TABLE_NODES))
        safe = np.maximum(r, 0.1 * self.core)
        design = jnp.asarray(self.design(safe, 1), jnp.float32)
        slope = design @ coefficients + jnp.asarray(self.core_energy(safe, 1), jnp.float32)
        force = -self.thermal_energy * slope / jnp.asarray(safe, jnp.float32)
        # u falls from the cutoff inwards by the exact integral of the piecewise linear force
        segments = 0.25 * step * (force[1:] + force[:-1])
        energy = jnp.concatenate([jnp.cumsum(segments[::-1])[::-1], jnp.zeros(1)])
        return force, energy


class Tables(NamedTuple):
    """force (P, TABLE_NODES) -u'(r)/r at r^2 = node cutoff^2/(TABLE_NODES - 1), kJ/mol/nm^2;
    energy (P, TABLE_NODES) u(r), kJ/mol; by pair of types."""

    force: Array
    energy: Array


@dataclass(frozen=True)
class Form:
    """The fixed part of the pair term.

    names          (T,) of the types
    cutoff         nm
    thermal_energy kB T, kJ/mol
    basis          number of spline coefficients of each pair of types
    cores          (P,) nm, of every pair of types in the order of `base.type_pairs`

    Parameters: {"pair": (P, basis)} coefficients, kB T.
    """

    kind: ClassVar[str] = "pair"
    groups: ClassVar[tuple[str, ...]] = ("pair",)
    sees: ClassVar[str] = "neighbours"
    all_pairs_up_to: ClassVar[int] = 128

    names: tuple[str, ...]
    cutoff: float
    thermal_energy: float
    basis: int
    cores: tuple[float, ...]

    @property
    def reach(self) -> float:
        return self.cutoff

    def curve(self, number: int) -> Curve:
        """u(r) of one pair of types."""
        return Curve(self.cutoff, self.cores[number], self.thermal_energy, self.basis)

    def initialise(self, key: Array) -> dict[str, Array]:
        """No spline."""
        return {"pair": jnp.zeros((len(self.cores), self.basis))}

    def tabulate(self, parameters: dict[str, Array]) -> Tables:
        tables = [self.curve(n).table(row) for n, row in enumerate(parameters["pair"])]
        return Tables(*(jnp.stack(each) for each in zip(*tables, strict=True)))

    def energy(self, tables: Tables, positions, box, topology: SiteTopology, neighbours) -> Array:
        _, s = separations(positions, box, neighbours, topology)
        node, fraction = self._place(s, topology, neighbours)
        force = tables.force.reshape(-1)
        low, high = force[node], force[node + 1]
        inner = fraction * (low + 0.5 * fraction * (high - low))
        step = self.cutoff**2 / (TABLE_NODES - 1)
        u = tables.energy.reshape(-1)[node] - 0.5 * step * inner
        return 0.5 * jnp.sum(jnp.where(s < self.cutoff**2, u, 0.0))

    def force(self, tables: Tables, positions, box, topology: SiteTopology, neighbours) -> Array:
        if neighbours is None or len(positions) <= BLOCK:
            return self._force_on(tables, positions, box, topology, neighbours)

        def block(nothing, sites, near):
            return nothing, self._force_on(tables, positions, box, topology, near, sites)

        return in_blocks(block, jnp.zeros(()), neighbours)[1]

    def _force_on(self, tables, positions, box, topology, neighbours, sites=None) -> Array:
        d, s = separations(positions, box, neighbours, topology, sites=sites)
        node, fraction = self._place(s, topology, neighbours, sites)
        table = tables.force.reshape(-1)
        low, high = table[node], table[node + 1]
        w = jnp.where(s < self.cutoff**2, low + fraction * (high - low), 0.0)
        # as a contraction XLA looks w up once; in three sums it would do so three times
        return jnp.einsum("xkn,kn->nx", jnp.stack(d), w)

    def _place(self, s: Array, topology, neighbours, sites=None) -> tuple[Array, Array]:
        """Where in the flattened tables each pair is, and how far to the next node."""
        place = s * ((TABLE_NODES - 1) / self.cutoff**2)
        node = jnp.clip(place.astype(jnp.int32), 0, TABLE_NODES - 2)
        fraction = place - node
        if len(self.names) == 1:
            return node, fraction
        types = topology.types_among(self.names)
        if neighbours is None:
            pair = self._numbers[types[:, None], types[None, :]]
        else:
            types = jnp.asarray(types)
            last = len(types) - 1
            own = types if sites is None else types[jnp.minimum(sites, last)]
            pair = jnp.asarray(self._numbers)[types[jnp.minimum(neighbours, last)], own]
        return node + pair * TABLE_NODES, fraction

    @property
    def _numbers(self) -> np.ndarray:
        """(T, T): the number of each pair of types."""
        numbers = np.zeros((len(self.names),) * 2, np.int32)
        for number, (a, b) in enumerate(type_pairs(len(self.names))):
            numbers[a, b] = numbers[b, a] = number
        return numbers

    def roughness(self, parameters: dict[str, Array]) -> Array:
        """Mean squared third difference of the coefficients, (kB T)^2."""
        return jnp.mean(jnp.diff(parameters["pair"], 3) ** 2)

    def require(self, topology: SiteTopology) -> None:
        topology.types_among(self.names)

    def record(self) -> dict:
        return record_of(self)

    @classmethod
    def of_record(cls, record: dict) -> "Form":
        return cls(**{key: tuples(value) for key, value in record.items()})
