r"""The three-body term, which needs no triplets: sum_i E_a(rho_i), a the type of i.

rho_i are invariants of the moments of site i, sums over its neighbours j with d = R_i - R_j in
units of the cutoff and s = |d|^2:

    m_c^(l) = sum_j h_c(s) d (x) ... (x) d        l factors, l = 0 ... degree

with learnable radial channels h_c(s) = (1 - s)^3 p_c(s), p_c in Bernstein form, for every type of
the centre and of the neighbour. The invariants are m_c^(0) and the full contractions
m_c^(l).m_c'^(l), that is, sums over pairs of neighbours of h h' (d.d')^l, so that a linear E is an
ordinary three-body potential, a polynomial of that degree in the cosine of the angle, for every
triple of types; and a network E goes beyond it.

Forces are written out by hand: given the adjoints A_i = dE/dm of every site, a neighbour j is
pushed by the gradient of A_i.m with respect to d, and i by the opposite. That is some forty times
faster than reverse-mode differentiation on a CPU.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.potentials.separations import BLOCK, give, in_blocks, separations
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.plain import record_of, tuples

RADIAL_DEGREE = 6


def monomials(rank: int) -> list[tuple[int, int, int]]:
    """Independent components of a symmetric tensor of that rank, by the powers of x, y and z."""
    return [(a, b, rank - a - b) for a in range(rank, -1, -1) for b in range(rank - a, -1, -1)]


def multiplicity(powers: tuple[int, int, int]) -> float:
    """How often that component occurs in a full contraction."""
    return math.factorial(sum(powers)) / math.prod(math.factorial(power) for power in powers)


class SiteEnergy(nn.Module):
    """E(rho) in units of kB T: a linear part plus a small network, per site.

    Input (invariants, N), output (N,).
    """

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, invariants: Array) -> Array:
        x = invariants.T
        linear = nn.Dense(1, use_bias=False, kernel_init=nn.initializers.zeros)(x)
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width)(x))
        if self.hidden:
            linear += nn.Dense(1, use_bias=False, kernel_init=nn.initializers.normal(1e-2))(x)
        return linear[:, 0]


class Tables(NamedTuple):
    """radial (T, channels, RADIAL_DEGREE + 1) monomial coefficients of p_c(s) by type of centre;
    network: Flax parameters of E by the name of the type."""

    radial: Array
    network: dict


@dataclass(frozen=True)
class Form:
    """The fixed part of the three-body term.

    names           (T,) of the types
    cutoff          nm
    thermal_energy  kB T, kJ/mol
    radial_channels radial functions for each type of neighbour
    degree          highest rank of the moments
    hidden          widths of the hidden layers of the network E; empty for a linear one

    Parameters: {"radial": (T, channels, RADIAL_DEGREE + 1), "network": {name: of Flax}}, where
    channels are those of all types of neighbours.
    """

    kind: ClassVar[str] = "three_body"
    groups: ClassVar[tuple[str, ...]] = ("radial", "network")
    sees: ClassVar[str] = "neighbours"
    all_pairs_up_to: ClassVar[int] = 0

    names: tuple[str, ...]
    cutoff: float
    thermal_energy: float
    radial_channels: int
    degree: int
    hidden: tuple[int, ...]

    @property
    def reach(self) -> float:
        return self.cutoff

    @property
    def channels(self) -> int:
        """Radial functions of a site, over all types of neighbours."""
        return len(self.names) * self.radial_channels

    @property
    def n_invariants(self) -> int:
        channels = self.channels
        return channels + (self.degree + 1) * channels * (channels + 1) // 2

    def initialise(self, key: Array) -> dict:
        """No linear part and a small random network; the radial functions are peaks at spread
        distances."""
        count, own = len(self.names), self.radial_channels
        centres = (jnp.arange(own) + 0.5) / own
        nodes = jnp.linspace(0.0, 1.0, RADIAL_DEGREE + 1)
        radial = 2.0 * jnp.exp(-(((nodes[None, :] - centres[:, None]) * own) ** 2))
        keys = [key] if count == 1 else jax.random.split(key, count)
        nothing = jnp.zeros((self.n_invariants, 1))
        networks = {
            name: SiteEnergy(self.hidden).init(own_key, nothing)
            for name, own_key in zip(self.names, keys, strict=True)
        }
        return {"radial": jnp.tile(radial, (count, count, 1)), "network": networks}

    def tabulate(self, parameters: dict) -> Tables:
        return Tables(parameters["radial"] @ _bernstein(), parameters["network"])

    def energy(self, tables: Tables, positions, box, topology: SiteTopology, neighbours) -> Array:
        d, s = separations(positions, box, neighbours, topology, self.cutoff)
        centres = Centres(self, topology, neighbours)
        h, _ = centres.radial(tables.radial, s)
        moments = self._moments(h, self._products(d))
        return self.thermal_energy * centres.energy(tables.network, _invariants(moments))

    def force(self, tables: Tables, positions, box, topology: SiteTopology, neighbours) -> Array:
        if neighbours is None or len(positions) <= BLOCK:
            push = self._push_of(tables, positions, box, topology, neighbours)
            if neighbours is None:
                given = jnp.sum(push, 1)
            else:
                given = give(jnp.zeros_like(positions), push, neighbours)
            return given - jnp.sum(push, 0)

        def block(given, sites, near):
            push = self._push_of(tables, positions, box, topology, near, sites)
            return give(given, push, near), -jnp.sum(push, 0)

        given, own = in_blocks(block, jnp.zeros_like(positions), neighbours)
        return given + own

    def _push_of(self, tables, positions, box, topology, neighbours, sites=None) -> Array:
        """What each site gives to its neighbours: (K, N, 3), kJ/mol/nm."""
        d, s = separations(positions, box, neighbours, topology, self.cutoff, sites)
        centres = Centres(self, topology, neighbours, sites)
        h, dh = centres.radial(tables.radial, s)
        products = self._products(d)
        moments = self._moments(h, products)
        adjoints = jax.grad(lambda m: centres.energy(tables.network, _invariants(m)))(moments)
        push = _push(d, h, dh, products, adjoints)
        return (self.thermal_energy / self.cutoff) * jnp.stack(push, -1)

    def _products(self, d: list[Array]) -> dict[tuple, Array]:
        """All monomials of the components of d, (K, N), up to the degree."""
        products = {(0, 0, 0): jnp.ones_like(d[0])}
        for rank in range(1, self.degree + 1):
            for powers in monomials(rank):
                axis = next(k for k in range(3) if powers[k])
                products[powers] = products[_lowered(powers, axis)] * d[axis]
        return products

    def _moments(self, h: list[Array], products: dict[tuple, Array]) -> list:
        """moments[rank][channel][powers], each (N,)."""
        return [
            [{powers: jnp.sum(hc * products[powers], -2) for powers in monomials(rank)} for hc in h]
            for rank in range(self.degree + 1)
        ]

    def roughness(self, parameters: dict) -> Array:
        return jnp.float32(0.0)

    def require(self, topology: SiteTopology) -> None:
        topology.types_among(self.names)

    def record(self) -> dict:
        return record_of(self)

    @classmethod
    def of_record(cls, record: dict) -> "Form":
        return cls(**{key: tuples(value) for key, value in record.items()})


class Centres:
    """Sites whose moments are taken, with their types and those of their neighbours.

    sites  (B,) of all, N for none; None for all of them
    """

    def __init__(
        self,
        form: Form,
        topology: SiteTopology,
        neighbours: Array | None,
        sites: Array | None = None,
    ):
        self.form, self._one_type = form, len(form.names) == 1
        if self._one_type:
            return
        types = topology.types_among(form.names)
        last = len(types) - 1
        self._types = types if sites is None else jnp.asarray(types)[jnp.minimum(sites, last)]
        if neighbours is None:
            self._near = types[:, None]
        else:
            self._near = jnp.asarray(types)[jnp.minimum(neighbours, last)]

    def radial(self, radial: Array, s: Array) -> tuple[list[Array], list[Array]]:
        """h_c(s) and dh_c/ds of every channel, zero for neighbours of another type than its own."""
        channels = range(self.form.channels)
        if self._one_type:
            return _radial([radial[0, channel] for channel in channels], s)
        values, slopes = _radial([radial[self._types, channel].T for channel in channels], s)
        own = [self._near == channel // self.form.radial_channels for channel in channels]
        return (
            [jnp.where(mask, value, 0.0) for mask, value in zip(own, values, strict=True)],
            [jnp.where(mask, slope, 0.0) for mask, slope in zip(own, slopes, strict=True)],
        )

    def energy(self, network: dict, invariants: Array) -> Array:
        """Sum of E over the sites, in units of kB T."""
        apply = SiteEnergy(self.form.hidden).apply
        if self._one_type:
            return jnp.sum(apply(network[self.form.names[0]], invariants))
        if isinstance(self._types, np.ndarray):
            return sum(
                jnp.sum(apply(network[name], invariants[:, self._types == number]))
                for number, name in enumerate(self.form.names)
            )
        # sites of a block: their types are known when it runs
        return sum(
            jnp.sum(jnp.where(self._types == number, apply(network[name], invariants), 0.0))
            for number, name in enumerate(self.form.names)
        )


def _radial(coefficients: list[Array], s: Array) -> tuple[list[Array], list[Array]]:
    """h_c(s) and dh_c/ds for every channel."""
    inside = jnp.where(s < 1.0, 1.0 - s, 0.0)
    s = jnp.minimum(s, 1.0)
    values, slopes = [], []
    for own in coefficients:
        p, dp = own[RADIAL_DEGREE], jnp.zeros_like(s)
        for k in range(RADIAL_DEGREE - 1, -1, -1):
            dp = dp * s + p
            p = p * s + own[k]
        values.append(inside**3 * p)
        slopes.append(inside**2 * (inside * dp - 3.0 * p))
    return values, slopes


def _push(d, h: list[Array], dh: list[Array], products: dict, adjoints: list) -> list[Array]:
    """Components (K, N) of the gradient of A_i.m with respect to d, over all channels."""
    push = [0.0, 0.0, 0.0]
    for c in range(len(h)):
        effective, across = 0.0, [0.0, 0.0, 0.0]
        for components in adjoints:
            for powers, a in components[c].items():
                effective += a * products[powers]
                for k in range(3):
                    if powers[k]:
                        across[k] += a * (powers[k] * products[_lowered(powers, k)])
        along = 2.0 * dh[c] * effective
        push = [push[k] + along * d[k] + h[c] * across[k] for k in range(3)]
    return push


def _lowered(powers: tuple[int, int, int], axis: int) -> tuple[int, int, int]:
    return tuple(power - (k == axis) for k, power in enumerate(powers))


def _invariants(moments: list) -> Array:
    """(invariants, N): the moments of rank 0, and the contractions of every couple of channels."""
    channels = range(len(moments[0]))
    couples = [(a, b) for a in channels for b in channels if a <= b]
    invariants = [moments[0][c][0, 0, 0] for c in channels]
    for tensors in moments:
        for a, b in couples:
            terms = [multiplicity(p) * tensors[a][p] * tensors[b][p] for p in tensors[a]]
            invariants.append(sum(terms))
    return jnp.stack(invariants)


def _bernstein() -> Array:
    """Matrix (D+1, D+1) from Bernstein coefficients to monomial coefficients, D = RADIAL_DEGREE."""
    degree = RADIAL_DEGREE
    matrix = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        for power in range(k, degree + 1):
            sign = (-1) ** (power - k)
            matrix[k, power] = sign * math.comb(degree, power) * math.comb(power, k)
    return jnp.asarray(matrix, jnp.float32)
