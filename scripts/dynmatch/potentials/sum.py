r"""The potential of sites: a sum of terms, U(R) = sum_k U_k(R).

All functions work for one configuration, positions (N, 3) in nm, and are to be vmapped. What is
learned knows types of sites and kinds of bonded terms, never a number of sites: the topology is an
argument.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from dynmatch.errors import DynmatchError
from dynmatch.potentials.base import Term
from dynmatch.potentials.registry import form_of
from dynmatch.sites.topology import SiteTopology


@dataclass(frozen=True)
class Potential:
    """The fixed part of a potential, static under jit.

    terms           see `base.Term`
    names           (T,) of the types of sites, sorted
    thermal_energy  kB T, kJ/mol: the scale of what is learned

    Its parameters are those of all groups of all terms, its tables and neighbours a tuple with an
    entry for each term.
    """

    terms: tuple[Term, ...]
    names: tuple[str, ...]
    thermal_energy: float

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups of parameters, each of which has a learning rate."""
        return tuple(name for term in self.terms for name in term.groups)

    @property
    def reach(self) -> float:
        """nm, beyond which sites do not interact; 0 for a molecule by itself."""
        return max(term.reach for term in self.terms)

    @property
    def sees(self) -> str:
        """Name of the classifier that sees what the first term acts on."""
        return self.terms[0].sees

    @property
    def all_pairs(self) -> tuple[None, ...]:
        """Neighbours that stand for all pairs."""
        return (None,) * len(self.terms)

    def term(self, kind: str) -> Term | None:
        """The term of that kind, if there is one."""
        return next((term for term in self.terms if term.kind == kind), None)

    def initialise(self, key: Array) -> dict[str, Any]:
        """Start parameters of all groups. One term at most draws random numbers."""
        parameters = {}
        for term in self.terms:
            parameters |= term.initialise(key)
        return parameters

    def tabulate(self, parameters: dict[str, Any]) -> tuple:
        """Turn parameters into tables; differentiable with respect to the parameters."""
        return tuple(
            term.tabulate({name: parameters[name] for name in term.groups}) for term in self.terms
        )

    def energy(
        self, tables: tuple, positions: Array, box: Array, topology: SiteTopology, neighbours=None
    ) -> Array:
        """Potential energy, kJ/mol, of positions (N, 3) in a periodic box (3,), nm."""
        near = neighbours or self.all_pairs
        return sum(
            term.energy(table, positions, box, topology, own)
            for term, table, own in zip(self.terms, tables, near, strict=True)
        )

    def force(
        self, tables: tuple, positions: Array, box: Array, topology: SiteTopology, neighbours=None
    ) -> Array:
        """Forces (N, 3), kJ/mol/nm: the exact negative gradient of `energy`."""
        near = neighbours or self.all_pairs
        return sum(
            term.force(table, positions, box, topology, own)
            for term, table, own in zip(self.terms, tables, near, strict=True)
        )

    def roughness(self, parameters: dict[str, Any]) -> Array:
        """Penalty on what no data decide, (kB T)^2."""
        return sum((term.roughness(parameters) for term in self.terms), start=jnp.float32(0.0))

    def require(self, topology: SiteTopology) -> None:
        """Raise DynmatchError, naming what it is, where `topology` has types of sites or kinds of
        bonded terms that the potential does not know."""
        topology.types_among(self.names)
        for term in self.terms:
            term.require(topology)

    def record(self) -> dict[str, Any]:
        """The potential in plain values, for YAML."""
        return {
            "thermal_energy": self.thermal_energy,
            "names": list(self.names),
            "terms": [{"kind": term.kind, **term.record()} for term in self.terms],
        }


def of_record(record: dict[str, Any]) -> Potential:
    """The potential that `Potential.record` has written.

    Raises DynmatchError for a kind of term that there is none of.
    """
    terms = []
    for each in record["terms"]:
        given = dict(each)
        terms.append(form_of(given.pop("kind")).of_record(given))
    if not terms:
        raise DynmatchError("a potential without terms")
    return Potential(tuple(terms), tuple(record["names"]), float(record["thermal_energy"]))
