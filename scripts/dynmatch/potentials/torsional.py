r"""The potential of one molecule in its internal coordinates: bonded terms and a network.

    U(R) = sum_lengths k/2 (r - r0)^2 + sum_angles k/2 (cos theta - c0)^2
         + sum_impropers k (1 - cos(phi - phi0))
         + sum_torsions sum_n [a_n cos n phi + b_n sin n phi] + kB T E(q)

q are the coordinates of `sites.internal_coordinates`, as cosine and sine of each torsion and
deviations of the others in units of their spread, and E is a network. U is invariant under
translation and rotation, and periodic in the torsions, and tells a molecule from its mirror image.

The bonded terms are fixed before training, each the Boltzmann inverse of its own coordinate in the
reference. As the volume element does not couple the coordinates, bonded terms alone have exactly
the distributions that they were fitted to; and with E fitted to the torsions, their joint
distribution is that of the reference. This is where a training starts
(`bottom_up.torsion_inversion`).

It stands alone: nothing but these coordinates interacts, and it is of one molecule.
"""

from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.errors import DynmatchError
from dynmatch.potentials.bonded import FOURIER_ORDER
from dynmatch.sites.internal_coordinates import ZMatrix, coordinate
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.plain import record_of, tuples

Harmonic = tuple[float, float]


class Energy(nn.Module):
    """E in units of kB T from features (..., F), without a constant."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, features: Array) -> Array:
        x = features
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.normal(1e-2))(x)[..., 0]


@dataclass(frozen=True)
class Form:
    """The fixed part.

    names           (N,) of the sites, in their order
    thermal_energy  kB T, kJ/mol: the scale of the network
    hidden          widths of the layers of the network
    coordinates     of the molecule
    lengths         (r0 nm, k kJ/mol/nm^2) of each
    angles          (c0, k kJ/mol)
    impropers       (phi0 radian, k kJ/mol)
    torsions        a_1 ... a_4, b_1 ... b_4, kJ/mol

    Parameters: {"network": of Flax}.
    """

    kind: ClassVar[str] = "torsional"
    groups: ClassVar[tuple[str, ...]] = ("network",)
    sees: ClassVar[str] = "torsions"
    all_pairs_up_to: ClassVar[int] = 0

    names: tuple[str, ...]
    thermal_energy: float
    hidden: tuple[int, ...]
    coordinates: ZMatrix
    lengths: tuple[Harmonic, ...]
    angles: tuple[Harmonic, ...]
    impropers: tuple[Harmonic, ...]
    torsions: tuple[tuple[float, ...], ...]

    @property
    def reach(self) -> float:
        return 0.0

    @property
    def features(self) -> int:
        """Number of features of the network."""
        others = len(self.lengths) + len(self.angles) + len(self.impropers)
        return 2 * len(self.torsions) + others

    def initialise(self, key: Array) -> dict:
        return {"network": Energy(self.hidden).init(key, jnp.zeros(self.features))}

    def tabulate(self, parameters: dict) -> dict:
        """The parameters of the network themselves."""
        return parameters["network"]

    def energy(self, tables: dict, positions, box, topology: SiteTopology, neighbours) -> Array:
        lengths, angles, impropers, phi = self._coordinates(positions, box)
        deviations, harmonic = self._deviations(lengths, angles, impropers)
        features = jnp.concatenate([turns(phi), deviations])
        network = Energy(self.hidden).apply(tables, features)
        return harmonic + self.torsion_energy(phi) + self.thermal_energy * network

    def force(self, tables: dict, positions, box, topology: SiteTopology, neighbours) -> Array:
        return -jax.grad(lambda x: self.energy(tables, x, box, topology, neighbours))(positions)

    def torsions_of(self, positions: Array, box: Array) -> Array:
        """(K,) radian, of the torsions that turn."""
        return self._coordinates(positions, box)[3]

    def torsion_energy(self, phi: Array) -> Array:
        """Sum of the Fourier series of torsions (..., K), kJ/mol."""
        series = jnp.asarray(np.array(self.torsions, np.float32).reshape(-1, 2, FOURIER_ORDER))
        multiples = phi[..., None] * np.arange(1, FOURIER_ORDER + 1, dtype=np.float32)
        terms = series[:, 0] * jnp.cos(multiples) + series[:, 1] * jnp.sin(multiples)
        return jnp.sum(terms, (-2, -1))

    def _coordinates(self, positions: Array, box: Array) -> list[Array]:
        """Lengths (nm), cosines of angles, impropers and torsions (radian)."""
        chain = self.coordinates
        groups = (chain.lengths, chain.angles, chain.impropers, chain.torsions)
        return [
            coordinate(positions, np.array(sites), box, jnp) if sites else jnp.zeros(0)
            for sites in groups
        ]

    def _deviations(self, lengths: Array, angles: Array, impropers: Array) -> tuple[Array, Array]:
        """Of impropers, angles and lengths, over their spread; and their energy, kJ/mol."""

        def columns(terms):
            return jnp.asarray(np.array(terms, np.float32).reshape(-1, 2).T)

        centre, k = columns(self.impropers)
        total = jnp.sum(k * (1.0 - jnp.cos(impropers - centre)))
        parts = [jnp.sqrt(k / self.thermal_energy) * jnp.sin(impropers - centre)]
        for values, terms in ((angles, self.angles), (lengths, self.lengths)):
            centre, k = columns(terms)
            total += 0.5 * jnp.sum(k * (values - centre) ** 2)
            parts.append(jnp.sqrt(k / self.thermal_energy) * (values - centre))
        return jnp.concatenate(parts), total

    def roughness(self, parameters: dict) -> Array:
        return jnp.float32(0.0)

    def require(self, topology: SiteTopology) -> None:
        """Raises DynmatchError where the sites are not those of the molecule, in their order."""
        if topology.names != self.names:
            raise DynmatchError(
                f"the model is one of a single molecule of {len(self.names)} sites "
                f"({' '.join(self.names)}), and here are {topology.n_sites} "
                f"({' '.join(topology.names[:12])})"
            )

    def record(self) -> dict:
        return record_of(self)

    @classmethod
    def of_record(cls, record: dict) -> "Form":
        values = {key: tuples(value) for key, value in record.items() if key != "coordinates"}
        coordinates = {key: tuples(value) for key, value in record["coordinates"].items()}
        return cls(**values, coordinates=ZMatrix(**coordinates))


def turns(phi: Array) -> Array:
    """Cosines and sines (..., 2 K) of torsions (..., K)."""
    return jnp.concatenate([jnp.cos(phi), jnp.sin(phi)], -1)
