r"""A soft repulsion of all sites, U = sum_{i<j} a (1 - r_ij/c)^2 up to the cutoff c."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from dynmatch.potentials.separations import separations
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.plain import record_of


@dataclass(frozen=True)
class Form:
    """See `potentials.base.Term`. cutoff c, nm, and strength a, kJ/mol. Nothing is learned."""

    kind: ClassVar[str] = "soft"
    groups: ClassVar[tuple[str, ...]] = ()
    sees: ClassVar[str] = "neighbours"
    all_pairs_up_to: ClassVar[int] = 128

    cutoff: float
    strength: float

    @property
    def reach(self) -> float:
        return self.cutoff

    def initialise(self, key: Array) -> dict:
        return {}

    def tabulate(self, parameters: dict) -> None:
        return None

    def energy(self, tables: None, positions, box, topology: SiteTopology, neighbours) -> Array:
        _, s = separations(positions, box, neighbours, topology)
        r = jnp.sqrt(jnp.minimum(s, self.cutoff**2))
        # every pair is seen from both of its sites
        return 0.5 * self.strength * jnp.sum((1 - r / self.cutoff) ** 2)

    def force(self, tables: None, positions, box, topology: SiteTopology, neighbours) -> Array:
        return -jax.grad(lambda x: self.energy(tables, x, box, topology, neighbours))(positions)

    def roughness(self, parameters: dict) -> Array:
        return jnp.float32(0.0)

    def require(self, topology: SiteTopology) -> None:
        """It acts on sites of any type."""

    def record(self) -> dict:
        return record_of(self)

    @classmethod
    def of_record(cls, record: dict) -> "Form":
        return cls(**record)
