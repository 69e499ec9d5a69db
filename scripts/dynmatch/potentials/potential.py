r"""The coarse-grained potential: a pair term and a three-body term that needs no triplets.

    U(R) = sum_{i<j} u(r_ij) + sum_i E(rho_i),        rho_i = invariants of the moments of site i

The moments of site i are sums over its neighbours j, d = R_i - R_j in units of the three-body
cutoff, s = |d|^2:

    m_c^(l) = sum_j h_c(s) d (x) ... (x) d        l factors, l = 0 ... degree

with learnable radial channels h_c(s) = (1 - s)^3 p_c(s), p_c in Bernstein form. The invariants are
m_c^(0) and the full contractions m_c^(l).m_c'^(l), that is, sums over pairs of neighbours of
h h' (d.d')^l, so that a linear E is an ordinary three-body potential, a polynomial of that degree
in the cosine of the angle, and a network E goes beyond it.

The pair term is a cubic spline in r on top of a fixed repulsive core. Before a simulation the
parameters are turned into `Tables` once: the pair force over r as a table on a uniform grid in r^2,
linear between the nodes, with the energy as its exact integral. The cost of a force evaluation does
then not depend on the number of spline coefficients.

Forces are written out by hand: given the adjoints A_i = dE/dm of every site, a neighbour j is
pushed by the gradient of A_i.m with respect to d, and i by the opposite. That is some forty times
faster than reverse-mode differentiation on a CPU.
All functions work for one configuration, positions (N, 3) in nm, and are to be vmapped.
`tabulate`, `energy` and `force` go by the type of the form: those here are for one type of site,
those of `molecular` for several and for molecules.
"""

import math
from dataclasses import dataclass
from functools import singledispatch
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from scipy.interpolate import BSpline

BLOCK = 512
"""Sites whose forces or lists are made at once: few enough for the processor's cache."""
TABLE_NODES = 1024
RADIAL_DEGREE = 6


def monomials(rank: int) -> list[tuple[int, int, int]]:
    """Independent components of a symmetric tensor of that rank, by the powers of x, y and z."""
    return [(a, b, rank - a - b) for a in range(rank, -1, -1) for b in range(rank - a, -1, -1)]


def multiplicity(powers: tuple[int, int, int]) -> float:
    """How often that component occurs in a full contraction."""
    return math.factorial(sum(powers)) / math.prod(math.factorial(power) for power in powers)


@dataclass(frozen=True)
class PotentialForm:
    """What is fixed before training.

    cutoff            nm, range of the pair term
    three_body_cutoff nm, range of the moments
    core              nm, where the repulsive core reaches `thermal_energy`
    thermal_energy    kB T, kJ/mol: the scale of every learned term
    pair_basis        number of spline coefficients of the pair term
    radial_channels   number of learned radial functions of the moments
    degree            highest rank of the moments
    hidden            widths of the hidden layers of the network E
    types             None: all sites are of one type
    linked            none: no site is bonded to another
    """

    types: ClassVar[None] = None
    linked: ClassVar[tuple] = ()

    cutoff: float
    three_body_cutoff: float
    core: float
    thermal_energy: float
    pair_basis: int = 40
    radial_channels: int = 2
    degree: int = 3
    hidden: tuple[int, ...] = (16,)


class Tables(NamedTuple):
    """Everything a force evaluation needs, derived from the parameters by `tabulate`.

    pair_force  (TABLE_NODES,) -u'(r)/r at r^2 = node * cutoff^2 / (TABLE_NODES - 1), kJ/mol/nm^2
    pair_energy (TABLE_NODES,) u(r), kJ/mol
    radial      (channels, RADIAL_DEGREE + 1) monomial coefficients of p_c(s)
    network     Flax parameters of E
    """

    pair_force: Array
    pair_energy: Array
    radial: Array
    network: dict


class Neighbours(NamedTuple):
    """Neighbour indices (K, N) of the two terms; None stands for all pairs.

    An index of N marks an empty slot.
    """

    pair: Array | None = None
    three_body: Array | None = None


ALL_PAIRS = Neighbours()


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


class PairSpline(nn.Module):
    """Coefficients of the cubic B-spline of u(r), in units of kB T."""

    size: int

    @nn.compact
    def __call__(self, design: Array) -> Array:
        return design @ self.param("coefficients", nn.initializers.zeros, (self.size,))


def n_invariants(form: PotentialForm) -> int:
    channels = form.radial_channels
    return channels + (form.degree + 1) * channels * (channels + 1) // 2


def initialise(form: PotentialForm, key: Array) -> dict:
    """Start parameters: no pair spline, no linear three-body part, a small random network.

    Returns {"pair", "radial", "network"}; the radial functions start as peaks at spread distances.
    """
    channels = form.radial_channels
    centres = (jnp.arange(channels) + 0.5) / channels
    nodes = jnp.linspace(0.0, 1.0, RADIAL_DEGREE + 1)
    radial = 2.0 * jnp.exp(-(((nodes[None, :] - centres[:, None]) * channels) ** 2))
    network = SiteEnergy(form.hidden).init(key, jnp.zeros((n_invariants(form), 1)))
    pair = PairSpline(form.pair_basis).init(key, jnp.zeros((1, form.pair_basis)))
    return {"pair": pair, "radial": radial, "network": network}


def knots(form: PotentialForm) -> np.ndarray:
    """Uniform knots of the pair spline, nm; the spline and two derivatives vanish at the cutoff."""
    spacing = (form.cutoff - 0.6 * form.core) / form.pair_basis
    return 0.6 * form.core + spacing * np.arange(-3, form.pair_basis + 4)


def spline_design(form: PotentialForm, r: np.ndarray, derivative: int = 0) -> np.ndarray:
    """Matrix (len(r), pair_basis) that takes coefficients to u(r), or its derivative, over kB T.

    The first basis functions continue linearly below the first knot inside the core, and the three
    functions that do not vanish smoothly at the cutoff are left out.
    """
    t = knots(form)
    size = form.pair_basis
    splines = BSpline(t, np.eye(len(t) - 4), 3)
    low = t[3]
    inside = np.clip(r, low, form.cutoff)
    value = splines.derivative(derivative)(inside) if derivative else splines(inside)
    below = (r < low)[:, None]
    if derivative == 0:
        value = np.where(below, value + (r - low)[:, None] * splines.derivative(1)(low), value)
    elif derivative > 1:
        value = np.where(below, 0.0, value)
    return np.where((r < form.cutoff)[:, None], value, 0.0)[:, :size]


def core_energy(form: PotentialForm, r: np.ndarray, derivative: int = 0) -> np.ndarray:
    """Fixed repulsion (core/r)^12 over kB T, shifted to vanish smoothly at the cutoff."""
    r = np.maximum(r, 0.5 * form.core)
    x, y = form.core / r, form.core / form.cutoff
    slope = -12.0 * y**12 / form.cutoff
    if derivative == 0:
        return np.where(r < form.cutoff, x**12 - y**12 - slope * (r - form.cutoff), 0.0)
    return np.where(r < form.cutoff, -12.0 * x**12 / r - slope, 0.0)


def fit_pair(form: PotentialForm, r: np.ndarray, energy: np.ndarray) -> np.ndarray:
    """Spline coefficients whose pair term is nearest to `energy` (kJ/mol) at distances r (nm).

    A weak penalty on the third difference of the coefficients decides where there are no data.
    """
    design = spline_design(form, r)
    target = energy / form.thermal_energy - core_energy(form, r)
    smooth = 1e-2 * np.diff(np.eye(form.pair_basis), 3, axis=0)
    matrix = np.concatenate([design, smooth])
    right = np.concatenate([target, np.zeros(len(smooth))])
    return np.linalg.lstsq(matrix, right, rcond=None)[0]


def roughness(parameters: dict) -> Array:
    """Mean squared third difference of the pair coefficients, (kB T)^2; 0 where there are none."""
    if "pair" not in parameters:
        return jnp.float32(0.0)
    return jnp.mean(jnp.diff(parameters["pair"]["params"]["coefficients"], 3) ** 2)


@singledispatch
def tabulate(form: PotentialForm, parameters: dict) -> Tables:
    """Turn parameters into tables; differentiable with respect to the parameters."""
    return Tables(
        *tabulate_pair(form, parameters["pair"]),
        radial_table(parameters["radial"]),
        parameters["network"],
    )


def tabulate_pair(form: PotentialForm, pair: dict) -> tuple[Array, Array]:
    """The tables of the pair term: force over r and energy, each (TABLE_NODES,)."""
    step = form.cutoff**2 / (TABLE_NODES - 1)
    r = np.sqrt(step * np.arange(TABLE_NODES))
    safe = np.maximum(r, 0.1 * form.core)
    slope = PairSpline(form.pair_basis).apply(
        pair, jnp.asarray(spline_design(form, safe, 1), jnp.float32)
    ) + jnp.asarray(core_energy(form, safe, 1), jnp.float32)
    pair_force = -form.thermal_energy * slope / jnp.asarray(safe, jnp.float32)
    # u falls from the cutoff inwards by the exact integral of the piecewise linear force
    segments = 0.25 * step * (pair_force[1:] + pair_force[:-1])
    pair_energy = jnp.concatenate([jnp.cumsum(segments[::-1])[::-1], jnp.zeros(1)])
    return pair_force, pair_energy


def radial_table(radial: Array) -> Array:
    """Monomial coefficients of p_c(s), last axis, from those in Bernstein form."""
    return radial @ _bernstein()


def _bernstein() -> Array:
    """Matrix (D+1, D+1) from Bernstein coefficients to monomial coefficients, D = RADIAL_DEGREE."""
    degree = RADIAL_DEGREE
    matrix = np.zeros((degree + 1, degree + 1))
    for k in range(degree + 1):
        for power in range(k, degree + 1):
            sign = (-1) ** (power - k)
            matrix[k, power] = sign * math.comb(degree, power) * math.comb(power, k)
    return jnp.asarray(matrix, jnp.float32)


@singledispatch
def energy(
    form: PotentialForm, tables: Tables, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Potential energy, kJ/mol, of positions (N, 3) in a periodic box (3,), nm."""
    _, s = _separations(positions, box, neighbours.pair)
    pair = 0.5 * jnp.sum(_pair_energy(form, tables, s))
    d, s = _separations(positions, box, neighbours.three_body, form.three_body_cutoff)
    h, _ = _radial(tables.radial, s)
    moments = _moments(form, h, _products(form, d))
    return pair + form.thermal_energy * jnp.sum(_site_energy(form, tables.network, moments))


@singledispatch
def force(
    form: PotentialForm, tables: Tables, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Forces (N, 3), kJ/mol/nm: the exact negative gradient of `energy`, written out."""
    if neighbours.pair is not None and len(positions) > BLOCK:
        return _force_in_blocks(form, tables, positions, box, neighbours)
    push = _push_of_sites(form, tables, positions, box, neighbours.three_body)
    pair = _pair_force_on(form, tables, positions, box, neighbours.pair)
    return pair + _transfer(push, neighbours.three_body)


def _force_in_blocks(form, tables, positions, box, neighbours: Neighbours) -> Array:
    """As `force` with lists, `BLOCK` sites at a time, which stay in the processor's cache."""
    n = len(positions)
    blocks = -(-n // BLOCK)

    def split(index):
        filled = jnp.pad(index, ((0, 0), (0, blocks * BLOCK - n)), constant_values=n)
        return jnp.moveaxis(filled.reshape(-1, blocks, BLOCK), 1, 0)

    def block(given, one):
        sites, pair, near = one
        push = _push_of_sites(form, tables, positions, box, near, sites)
        own = _pair_force_on(form, tables, positions, box, pair, sites) - jnp.sum(push, 0)
        return _give(given, push, near), own

    sites = jnp.arange(blocks * BLOCK).reshape(blocks, BLOCK)
    lists = sites, split(neighbours.pair), split(neighbours.three_body)
    given, own = lax.scan(block, jnp.zeros_like(positions), lists)
    return given + own.reshape(-1, 3)[:n]


def _pair_force_on(form, tables, positions, box, neighbours, sites=None) -> Array:
    d, s = _separations(positions, box, neighbours, sites=sites)
    w = _pair_force(form, tables, s)
    # as a contraction XLA looks w up once; in three sums it would do so three times
    return jnp.einsum("xkn,kn->nx", jnp.stack(d), w)


def _push_of_sites(form, tables, positions, box, neighbours, sites=None) -> Array:
    """What each site gives to its neighbours by the three-body term: (K, N, 3), kJ/mol/nm."""
    d, s = _separations(positions, box, neighbours, form.three_body_cutoff, sites)
    h, dh = _radial(tables.radial, s)
    products = _products(form, d)
    moments = _moments(form, h, products)
    adjoints = jax.grad(lambda m: jnp.sum(_site_energy(form, tables.network, m)))(moments)

    push = _push(d, h, dh, products, adjoints)
    return (form.thermal_energy / form.three_body_cutoff) * jnp.stack(push, -1)


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


def _transfer(push: Array, neighbours: Array | None) -> Array:
    """Net force (N, 3) where site n gives push[k, n] to its k-th neighbour and takes its own."""
    if neighbours is None:
        given = jnp.sum(push, 1)
    else:
        given = _give(jnp.zeros(push.shape[1:], push.dtype), push, neighbours)
    return given - jnp.sum(push, 0)


def _give(given: Array, push: Array, neighbours: Array) -> Array:
    """`given` (N, 3) and what neighbours (K, B) get by push (K, B, 3)."""
    return given.at[neighbours.reshape(-1)].add(push.reshape(-1, 3), mode="drop")


def _lowered(powers: tuple[int, int, int], axis: int) -> tuple[int, int, int]:
    return tuple(power - (k == axis) for k, power in enumerate(powers))


def _at_neighbours(values: Array, neighbours: Array | None) -> Array:
    """Site values (N,) seen from each site at its neighbours: (K, N), or (N, 1) for all pairs."""
    if neighbours is None:
        return values[:, None]
    return values[jnp.minimum(neighbours, values.shape[0] - 1)]


def _separations(
    positions: Array,
    box: Array,
    neighbours: Array | None,
    unit: float = 1.0,
    sites: Array | None = None,
):
    """Minimum-image components of R_i - R_j, a list of three (K, N), and their square, over `unit`.

    Sites i are all, or `sites` (B,), N for none; then neighbours and results are (K, B).
    A site itself and empty slots are put far beyond any cutoff.
    """
    n = positions.shape[0]
    own = positions if sites is None else positions[jnp.minimum(sites, n - 1)]
    d = []
    for k in range(3):
        delta = own[None, :, k] - _at_neighbours(positions[:, k], neighbours)
        d.append((delta - box[k] * jnp.round(delta / box[k])) / unit)
    s = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    if neighbours is None:
        far = jnp.eye(n, dtype=bool)
    else:
        i = jnp.arange(n) if sites is None else sites
        far = (neighbours == n) | (neighbours == i[None, :])
    return d, jnp.where(far, 1e6, s)


def _table_index(form: PotentialForm, s: Array) -> tuple[Array, Array]:
    place = s * ((TABLE_NODES - 1) / form.cutoff**2)
    node = jnp.clip(place.astype(jnp.int32), 0, TABLE_NODES - 2)
    return node, place - node


def _pair_force(form: PotentialForm, tables: Tables, s: Array) -> Array:
    node, fraction = _table_index(form, s)
    low, high = tables.pair_force[node], tables.pair_force[node + 1]
    return jnp.where(s < form.cutoff**2, low + fraction * (high - low), 0.0)


def _pair_energy(form: PotentialForm, tables: Tables, s: Array) -> Array:
    node, fraction = _table_index(form, s)
    step = form.cutoff**2 / (TABLE_NODES - 1)
    low, high = tables.pair_force[node], tables.pair_force[node + 1]
    inner = fraction * (low + 0.5 * fraction * (high - low))
    return jnp.where(s < form.cutoff**2, tables.pair_energy[node] - 0.5 * step * inner, 0.0)


def _radial(radial: Array, s: Array) -> tuple[list[Array], list[Array]]:
    """h_c(s) and dh_c/ds for every channel."""
    inside = jnp.where(s < 1.0, 1.0 - s, 0.0)
    s = jnp.minimum(s, 1.0)
    values, slopes = [], []
    for coefficients in radial:
        p, dp = coefficients[RADIAL_DEGREE], jnp.zeros_like(s)
        for k in range(RADIAL_DEGREE - 1, -1, -1):
            dp = dp * s + p
            p = p * s + coefficients[k]
        values.append(inside**3 * p)
        slopes.append(inside**2 * (inside * dp - 3.0 * p))
    return values, slopes


def _products(form: PotentialForm, d: list[Array]) -> dict[tuple, Array]:
    """All monomials of the components of d, (K, N), up to the form's degree."""
    products = {(0, 0, 0): jnp.ones_like(d[0])}
    for rank in range(1, form.degree + 1):
        for powers in monomials(rank):
            axis = next(k for k in range(3) if powers[k])
            products[powers] = products[_lowered(powers, axis)] * d[axis]
    return products


def _moments(form: PotentialForm, h: list[Array], products: dict[tuple, Array]) -> list:
    """moments[rank][channel][powers], each (N,)."""
    return [
        [{powers: jnp.sum(hc * products[powers], -2) for powers in monomials(rank)} for hc in h]
        for rank in range(form.degree + 1)
    ]


def _site_energy(form: PotentialForm, network: dict, moments: list) -> Array:
    return SiteEnergy(form.hidden).apply(network, _invariants(moments))


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
