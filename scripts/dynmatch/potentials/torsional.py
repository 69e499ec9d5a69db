r"""The potential of one molecule in its internal coordinates: bonded terms and a network.

    U(R) = sum_lengths k/2 (r - r0)^2 + sum_angles k/2 (cos theta - c0)^2
         + sum_impropers k (1 - cos(phi - phi0))
         + sum_torsions sum_n [a_n cos n phi + b_n sin n phi] + kB T E(q)

q are the coordinates of `zmatrix`, as cosine and sine of each torsion and deviations of the others
in units of their spread, and E is a network. U is invariant under translation and rotation, and
periodic in the torsions, and tells a molecule from its mirror image.

The bonded terms are fixed before training, each the Boltzmann inverse of its own coordinate in the
reference. As the volume element does not couple the coordinates, bonded terms alone have exactly
the distributions that they were fitted to; and with E fitted to the torsions, their
joint distribution is that of the reference. This is where a training starts (`internal_start`).

The functions are those of `potential`, for an `InternalForm`; there is nothing to tabulate.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.potentials import bonded, potential
from dynmatch.potentials.potential import ALL_PAIRS
from dynmatch.sites.internal_coordinates import ZMatrix
from dynmatch.sites.topology import coordinate
from dynmatch.storage.plain import tuples

Harmonic = tuple[float, float]


@dataclass(frozen=True)
class InternalForm:
    """What is fixed before training.

    thermal_energy  kB T, kJ/mol: the scale of the network
    hidden          widths of the layers of the network
    linked, cutoff  there are no interactions but those of the coordinates
    names, types    (T,) of the types of sites, sorted, and (N,) of every site, an index into them
    coordinates     of the molecule
    lengths         (r0 nm, k kJ/mol/nm^2) of each
    angles          (c0, k kJ/mol)
    impropers       (phi0 radian, k kJ/mol)
    torsions        a_1 ... a_4, b_1 ... b_4, kJ/mol
    """

    linked: ClassVar[tuple] = ()
    cutoff: ClassVar[float] = 0.0

    thermal_energy: float
    hidden: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[int, ...]
    coordinates: ZMatrix
    lengths: tuple[Harmonic, ...]
    angles: tuple[Harmonic, ...]
    impropers: tuple[Harmonic, ...]
    torsions: tuple[tuple[float, ...], ...]

    @property
    def features(self) -> int:
        """Number of features of the network."""
        others = len(self.lengths) + len(self.angles) + len(self.impropers)
        return 2 * len(self.torsions) + others


class Energy(nn.Module):
    """E in units of kB T from features (..., F), without a constant."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, features: Array) -> Array:
        x = features
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.normal(1e-2))(x)[..., 0]


def form_of(record: dict) -> InternalForm:
    """The form that `records.record_of` has written."""
    values = {key: tuples(value) for key, value in record.items() if key != "coordinates"}
    coordinates = {key: tuples(value) for key, value in record["coordinates"].items()}
    return InternalForm(**values, coordinates=ZMatrix(**coordinates))


@potential.tabulate.register
def tabulate(form: InternalForm, parameters: dict) -> dict:
    """The parameters themselves."""
    return parameters


@potential.energy.register
def energy(
    form: InternalForm, tables: dict, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Potential energy, kJ/mol, of positions (N, 3) in a periodic box (3,), nm."""
    lengths, angles, impropers, torsions = _coordinates(form, positions, box)
    deviations, harmonic = _deviations(form, lengths, angles, impropers)
    features = jnp.concatenate([turns(torsions), deviations])
    network = Energy(form.hidden).apply(tables["network"], features)
    return harmonic + torsion_energy(form, torsions) + form.thermal_energy * network


@potential.force.register
def force(
    form: InternalForm, tables: dict, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Forces (N, 3), kJ/mol/nm: the negative gradient of `energy`."""
    return -jax.grad(lambda x: energy(form, tables, x, box))(positions)


def torsions(form: InternalForm, positions: Array, box: Array) -> Array:
    """(K,) radian."""
    return _coordinates(form, positions, box)[3]


def _coordinates(form: InternalForm, positions: Array, box: Array) -> list[Array]:
    """Lengths (nm), cosines of angles, impropers and torsions (radian)."""
    chain = form.coordinates
    groups = (chain.lengths, chain.angles, chain.impropers, chain.torsions)
    return [
        coordinate(positions, np.array(sites), box, jnp) if sites else jnp.zeros(0)
        for sites in groups
    ]


def _deviations(
    form: InternalForm, lengths: Array, angles: Array, impropers: Array
) -> tuple[Array, Array]:
    """Of impropers, angles and lengths, over their spread; and their energy, kJ/mol."""

    def columns(terms):
        return jnp.asarray(np.array(terms, np.float32).reshape(-1, 2).T)

    centre, k = columns(form.impropers)
    total = jnp.sum(k * (1.0 - jnp.cos(impropers - centre)))
    parts = [jnp.sqrt(k / form.thermal_energy) * jnp.sin(impropers - centre)]
    for values, terms in ((angles, form.angles), (lengths, form.lengths)):
        centre, k = columns(terms)
        total += 0.5 * jnp.sum(k * (values - centre) ** 2)
        parts.append(jnp.sqrt(k / form.thermal_energy) * (values - centre))
    return jnp.concatenate(parts), total


def torsion_energy(form: InternalForm, phi: Array) -> Array:
    """Sum of the Fourier series of torsions (..., K), kJ/mol."""
    series = jnp.asarray(np.array(form.torsions, np.float32).reshape(-1, 2, bonded.FOURIER_ORDER))
    turns = phi[..., None] * np.arange(1, bonded.FOURIER_ORDER + 1, dtype=np.float32)
    terms = series[:, 0] * jnp.cos(turns) + series[:, 1] * jnp.sin(turns)
    return jnp.sum(terms, (-2, -1))


def turns(phi: Array) -> Array:
    """Cosines and sines (..., 2 K) of torsions (..., K)."""
    return jnp.concatenate([jnp.cos(phi), jnp.sin(phi)], -1)
