r"""A field outside of the sites: U = a sum_i cos(2 pi z_i/L), L the edge of the box along z."""

from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.plain import record_of


@dataclass(frozen=True)
class Form:
    """See `potentials.base.Term`. amplitude a, kJ/mol. It has no learned parameters."""

    kind: ClassVar[str] = "wave"
    groups: ClassVar[tuple[str, ...]] = ()
    sees: ClassVar[str] = "neighbours"
    all_pairs_up_to: ClassVar[int] = 0

    amplitude: float

    @property
    def reach(self) -> float:
        return 0.0

    def initialise(self, key: Array) -> dict:
        return {}

    def tabulate(self, parameters: dict) -> None:
        return None

    def energy(self, tables, positions, box, topology: SiteTopology, neighbours) -> Array:
        return self.amplitude * jnp.sum(jnp.cos(2 * jnp.pi * positions[:, 2] / box[2]))

    def force(self, tables, positions, box, topology: SiteTopology, neighbours) -> Array:
        wave = 2 * jnp.pi / box[2]
        along = self.amplitude * wave * jnp.sin(wave * positions[:, 2])
        return along[:, None] * jnp.array([0.0, 0.0, 1.0], positions.dtype)

    def roughness(self, parameters: dict) -> Array:
        return jnp.float32(0.0)

    def require(self, topology: SiteTopology) -> None:
        """All sites feel it."""

    def record(self) -> dict:
        return record_of(self)

    @classmethod
    def of_record(cls, record: dict) -> "Form":
        return cls(**record)
