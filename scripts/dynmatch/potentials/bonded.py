r"""Bonded terms of molecules of several sites: bonds, angles and dihedrals.

    bond      k/2 (r - r0)^2
    angle     k/2 (cos theta - c0)^2
    dihedral  sum_{n=1..4} a_n cos(n phi) + b_n sin(n phi)

They are priors, fixed before training (`bottom_up.boltzmann_inversion`). The sines let a chiral
molecule be one. Where they are in a system is told by its topology.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from dynmatch.errors import DynmatchError
from dynmatch.sites.internal_coordinates import coordinate
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.plain import record_of, tuples

FOURIER_ORDER = 4


@dataclass(frozen=True)
class Kind:
    """One kind of bond, angle or dihedral, wherever it occurs.

    names      of the types along it
    parameters (r0 nm, k kJ/mol/nm^2), (c0, k kJ/mol), or a_1 ... a_4, b_1 ... b_4 in kJ/mol
    """

    names: tuple[str, ...]
    parameters: tuple[float, ...]


@dataclass(frozen=True)
class Form:
    """All kinds of bonded terms. It has no learned parameters."""

    kind: ClassVar[str] = "bonded"
    groups: ClassVar[tuple[str, ...]] = ()
    sees: ClassVar[str] = "neighbours"
    all_pairs_up_to: ClassVar[int] = 0

    kinds: tuple[Kind, ...]

    @property
    def reach(self) -> float:
        return 0.0

    def initialise(self, key: Array) -> dict:
        return {}

    def tabulate(self, parameters: dict) -> None:
        return None

    def energy(self, tables: None, positions, box, topology: SiteTopology, neighbours) -> Array:
        total = jnp.zeros((), positions.dtype)
        for term in self.kinds:
            sites = topology.bonded_kinds.get(term.names)
            if sites is None:
                continue
            q = coordinate(positions, sites, box, jnp)
            if len(term.names) < 4:
                centre, k = term.parameters
                total += 0.5 * k * jnp.sum((q - centre) ** 2)
            else:
                for n in range(FOURIER_ORDER):
                    a, b = term.parameters[n], term.parameters[FOURIER_ORDER + n]
                    total += jnp.sum(a * jnp.cos((n + 1) * q) + b * jnp.sin((n + 1) * q))
        return total

    def force(self, tables: None, positions, box, topology: SiteTopology, neighbours) -> Array:
        return -jax.grad(lambda x: self.energy(tables, x, box, topology, neighbours))(positions)

    def roughness(self, parameters: dict) -> Array:
        return jnp.float32(0.0)

    def require(self, topology: SiteTopology) -> None:
        """Raises DynmatchError for bonds, angles or dihedrals that it has no parameters for."""
        unknown = topology.bonded_kinds.keys() - {term.names for term in self.kinds}
        if unknown:
            known = ", ".join("-".join(term.names) for term in self.kinds)
            raise DynmatchError(
                f"the model has no bonded term for {', '.join(map('-'.join, sorted(unknown)))}; "
                f"it knows {known or 'none'}"
            )

    def record(self) -> dict:
        return record_of(self)

    @classmethod
    def of_record(cls, record: dict) -> "Form":
        return cls(
            tuple(Kind(**{k: tuples(v) for k, v in each.items()}) for each in record["kinds"])
        )
