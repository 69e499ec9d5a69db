"""What a term of a potential is, and how separations of sites are told.

A potential is a sum of terms (`sum`), each in a file of its own with everything that it has:
parameters, tables, energy, force, learning rates, roughness, and what the classifier sees for it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from jax import Array

from dynmatch.sites.topology import SiteTopology


class Term(Protocol):
    """A term of the potential: its fixed part, frozen and hashable, static under jit.

    kind               name of the term in files and in the registry
    groups             names of its groups of parameters; each has a learning rate of that name
    sees               name of the classifier that sees what the term acts on (training.classifiers)
    all_pairs_up_to    sites up to which all pairs are cheaper than a list of neighbours
    reach              nm, the distance beyond which it does not act; 0 for one without neighbours

    Positions are (N, 3) in nm in a periodic box (`sites.box`), energies kJ/mol, forces (N, 3)
    kJ/mol/nm. `neighbours` (K, N) are indices of the sites about each site, N for an empty slot, or
    None for all pairs.
    """

    kind: ClassVar[str]
    sees: ClassVar[str]
    all_pairs_up_to: ClassVar[int]

    @property
    def groups(self) -> tuple[str, ...]: ...

    @property
    def reach(self) -> float: ...

    def initialise(self, key: Array) -> dict[str, Any]:
        """Start parameters by group."""

    def tabulate(self, parameters: dict[str, Any]) -> Any:
        """What a force evaluation needs, from the parameters of all groups; differentiable."""

    def energy(
        self,
        tables: Any,
        positions: Array,
        box: Array,
        topology: SiteTopology,
        neighbours: Array | None,
    ) -> Array: ...

    def force(
        self,
        tables: Any,
        positions: Array,
        box: Array,
        topology: SiteTopology,
        neighbours: Array | None,
    ) -> Array: ...

    def roughness(self, parameters: dict[str, Any]) -> Array:
        """A penalty on parameters that no data decide, (kB T)^2; 0 where there is none."""

    def require(self, topology: SiteTopology) -> None:
        """Raise DynmatchError where `topology` has what the term was not made for."""

    def record(self) -> dict[str, Any]:
        """The term in plain values, for YAML."""

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> "Term":
        """The term that `record` was written for."""


def type_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs a <= b of `count` types, in the order of all arrays over pairs."""
    return [(a, b) for a in range(count) for b in range(a, count)]


def pair_names(names: Sequence[str]) -> list[tuple[str, str]]:
    """The same by name."""
    return [(names[a], names[b]) for a, b in type_pairs(len(names))]
