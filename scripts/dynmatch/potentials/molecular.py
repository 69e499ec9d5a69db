r"""The potential of several types of sites, and of molecules of more than one.

    U(R) = sum_bonded + sum_{i<j}' u_ab(r_ij) + sum_i E_a(rho_i),     a, b the types of i and j

It is `potential`'s, with a pair term for every pair of types, radial functions of the moments for
every type of the centre and of the neighbour, and a network E_a for every type of the centre; the
sums leave out pairs of sites that are at most three bonds apart (`bonded`). Moments of different
neighbour types are channels of their own, so that a linear E_a holds a three-body term for every
triple of types. The functions here are those of `potential` for a `MolecularForm`.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.potentials import bonded, potential
from dynmatch.potentials.bonded import BondedTerm
from dynmatch.potentials.potential import ALL_PAIRS, PotentialForm, SiteEnergy, Tables
from dynmatch.sites.topology import excluded_pairs
from dynmatch.storage.plain import tuples


@dataclass(frozen=True)
class MolecularForm:
    """What is fixed before training; see `potential.PotentialForm` for what both have.

    names   (T,) of the types, sorted
    types   (N,) type of every site, an index into `names`
    cores   (P,) nm, of every pair of types in the order of `type_pairs`
    bonded  the bonded terms, with their sites and parameters
    radial_channels  radial functions of each type of neighbour
    """

    cutoff: float
    three_body_cutoff: float
    thermal_energy: float
    pair_basis: int
    radial_channels: int
    degree: int
    hidden: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[int, ...]
    cores: tuple[float, ...]
    bonded: tuple[BondedTerm, ...]

    @property
    def core(self) -> float:
        """The smallest of the cores, nm."""
        return min(self.cores)

    @property
    def channels(self) -> int:
        """Radial functions of a site, over all types of neighbours."""
        return len(self.names) * self.radial_channels

    @property
    def bonds(self) -> tuple[tuple[int, int], ...]:
        return tuple(pair for term in self.bonded if len(term.names) == 2 for pair in term.sites)

    @property
    def linked(self) -> tuple[tuple[int, int], ...]:
        """Pairs of sites at most three bonds apart, both ways."""
        i, j = np.nonzero(self.excluded & ~np.eye(len(self.types), dtype=bool))
        return tuple(zip(i.tolist(), j.tolist(), strict=True))

    @property
    def excluded(self) -> np.ndarray:
        """(N, N): pairs of sites without nonbonded interaction, and each site with itself."""
        return _excluded(self)

    def of_pair(self, number: int) -> PotentialForm:
        """The pair term of one pair of types as one of a single type."""
        return PotentialForm(
            cutoff=self.cutoff,
            three_body_cutoff=self.three_body_cutoff,
            core=self.cores[number],
            thermal_energy=self.thermal_energy,
            pair_basis=self.pair_basis,
            radial_channels=self.radial_channels,
        )


def type_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs a <= b of `count` types, in the order of all arrays over pairs."""
    return list(combinations_with_replacement(range(count), 2))


def form_of(record: dict) -> MolecularForm:
    """The form that `records.record_of` has written."""
    terms = tuple(BondedTerm(**{k: tuples(v) for k, v in t.items()}) for t in record["bonded"])
    return MolecularForm(**{k: tuples(v) for k, v in record.items()} | {"bonded": terms})


@lru_cache
def _excluded(form: MolecularForm) -> np.ndarray:
    return excluded_pairs(form.bonds, len(form.types))


def _pair_numbers(form: MolecularForm) -> np.ndarray:
    """(T, T): the number of each pair of types."""
    numbers = np.zeros((len(form.names),) * 2, np.int32)
    for number, (a, b) in enumerate(type_pairs(len(form.names))):
        numbers[a, b] = numbers[b, a] = number
    return numbers


def initialise(form: MolecularForm, key: Array) -> dict:
    """Start parameters as `potential.initialise` has them: {"pair", "radial", "network"}.

    Pair coefficients (P, pair_basis), radial functions (T, channels, RADIAL_DEGREE + 1), and the
    parameters of a network for each type by its name.
    """
    one = potential.initialise(form.of_pair(0), key)
    count = len(form.names)
    coefficients = one["pair"]["params"]["coefficients"]
    invariants = form.channels + (form.degree + 1) * form.channels * (form.channels + 1) // 2
    networks = {
        name: SiteEnergy(form.hidden).init(subkey, jnp.zeros((invariants, 1)))
        for name, subkey in zip(form.names, jax.random.split(key, count), strict=True)
    }
    return {
        "pair": {"params": {"coefficients": jnp.tile(coefficients, (len(form.cores), 1))}},
        "radial": jnp.tile(one["radial"], (count, count, 1)),
        "network": networks,
    }


@potential.tabulate.register
def tabulate(form: MolecularForm, parameters: dict) -> Tables:
    """Tables of all pairs of types: pair (P, TABLE_NODES), radial (T, channels, ...)."""
    coefficients = parameters["pair"]["params"]["coefficients"]
    pairs = [
        potential.tabulate_pair(form.of_pair(number), {"params": {"coefficients": row}})
        for number, row in enumerate(coefficients)
    ]
    force, energy = (jnp.stack(tables) for tables in zip(*pairs, strict=True))
    return Tables(
        force, energy, potential.radial_table(parameters["radial"]), parameters["network"]
    )


@potential.energy.register
def energy(
    form: MolecularForm, tables: Tables, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Potential energy, kJ/mol, of positions (N, 3) in a periodic box (3,), nm."""
    _, s = _separations(form, positions, box, neighbours.pair)
    pair = 0.5 * jnp.sum(_pair_energy(form, tables, s, neighbours.pair))
    d, s = _separations(form, positions, box, neighbours.three_body, form.three_body_cutoff)
    h, _ = _radial(form, tables.radial, s, neighbours.three_body)
    moments = potential._moments(form, h, potential._products(form, d))
    site = _site_energy(form, tables.network, moments)
    return pair + form.thermal_energy * site + bonded.energy(form.bonded, positions, box)


@potential.force.register
def force(
    form: MolecularForm, tables: Tables, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Forces (N, 3), kJ/mol/nm: the exact negative gradient of `energy`."""
    d, s = _separations(form, positions, box, neighbours.pair)
    w = _pair_force(form, tables, s, neighbours.pair)
    pair = jnp.einsum("xkn,kn->nx", jnp.stack(d), w)

    d, s = _separations(form, positions, box, neighbours.three_body, form.three_body_cutoff)
    h, dh = _radial(form, tables.radial, s, neighbours.three_body)
    products = potential._products(form, d)
    moments = potential._moments(form, h, products)
    adjoints = jax.grad(lambda m: _site_energy(form, tables.network, m))(moments)
    push = potential._push(d, h, dh, products, adjoints)
    scale = form.thermal_energy / form.three_body_cutoff
    three_body = scale * potential._transfer(jnp.stack(push, -1), neighbours.three_body)
    if not form.bonded:
        return pair + three_body
    return pair + three_body - jax.grad(lambda x: bonded.energy(form.bonded, x, box))(positions)


def _separations(form, positions, box, neighbours, unit: float = 1.0):
    """As `potential._separations`; excluded pairs too are put far beyond any cutoff."""
    d, s = potential._separations(positions, box, neighbours, unit)
    if neighbours is None:
        return d, jnp.where(form.excluded, 1e6, s)
    partners = _excluded_partners(form)
    left_out = jnp.zeros(s.shape, bool)
    for row in partners:
        left_out |= neighbours == row
    return d, jnp.where(left_out, 1e6, s)


def _excluded_partners(form: MolecularForm) -> np.ndarray:
    """(E, N): the sites each site is excluded from, -1 for none."""
    table = form.excluded & ~np.eye(len(form.types), dtype=bool)
    partners = np.full((table.sum(0).max(initial=0), len(form.types)), -1)
    for site, column in enumerate(table.T):
        partners[: column.sum(), site] = np.flatnonzero(column)
    return partners


def _neighbour_types(form: MolecularForm, neighbours: Array | None) -> Array | np.ndarray:
    """Types (K, N) of the neighbours of every site, or (N, 1) for all pairs."""
    types = np.array(form.types)
    if neighbours is None:
        return types[:, None]
    return jnp.asarray(types)[jnp.minimum(neighbours, len(types) - 1)]


def _table_index(form, s, neighbours) -> tuple[Array, Array]:
    """Where in the flattened tables (P * TABLE_NODES,) each pair is, and how far to the next."""
    node, fraction = potential._table_index(form, s)
    numbers = _pair_numbers(form)
    if neighbours is None:
        types = np.array(form.types)
        pair = numbers[types[:, None], types[None, :]]
    else:
        pair = jnp.asarray(numbers)[_neighbour_types(form, neighbours), np.array(form.types)]
    return node + pair * potential.TABLE_NODES, fraction


def _pair_force(form, tables: Tables, s: Array, neighbours) -> Array:
    node, fraction = _table_index(form, s, neighbours)
    table = tables.pair_force.reshape(-1)
    low, high = table[node], table[node + 1]
    return jnp.where(s < form.cutoff**2, low + fraction * (high - low), 0.0)


def _pair_energy(form, tables: Tables, s: Array, neighbours) -> Array:
    node, fraction = _table_index(form, s, neighbours)
    table = tables.pair_force.reshape(-1)
    low, high = table[node], table[node + 1]
    inner = fraction * (low + 0.5 * fraction * (high - low))
    step = form.cutoff**2 / (potential.TABLE_NODES - 1)
    u = tables.pair_energy.reshape(-1)[node] - 0.5 * step * inner
    return jnp.where(s < form.cutoff**2, u, 0.0)


def _radial(form, radial: Array, s: Array, neighbours) -> tuple[list[Array], list[Array]]:
    """h_c(s) and dh_c/ds of every channel, zero for neighbours of another type than its own."""
    types = np.array(form.types)
    coefficients = [radial[types, channel].T for channel in range(form.channels)]
    values, slopes = potential._radial(coefficients, s)
    near = _neighbour_types(form, neighbours)
    own = [near == channel // form.radial_channels for channel in range(form.channels)]
    return (
        [jnp.where(mask, value, 0.0) for mask, value in zip(own, values, strict=True)],
        [jnp.where(mask, slope, 0.0) for mask, slope in zip(own, slopes, strict=True)],
    )


def _site_energy(form: MolecularForm, network: dict, moments: list) -> Array:
    """Sum of E over all sites, in units of kB T."""
    invariants = potential._invariants(moments)
    types = np.array(form.types)
    return sum(
        jnp.sum(SiteEnergy(form.hidden).apply(network[name], invariants[:, types == number]))
        for number, name in enumerate(form.names)
    )
