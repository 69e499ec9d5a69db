"""Energy and forces of a trained model, for whoever wants to move the sites by other means."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials.neighbour_lists import NeighbourLists
from dynmatch.sites.box import heights, reduced
from dynmatch.sites.topology import SiteTopology


class Calculator:
    """Energy and forces of `model` for the sites of `topology` in a periodic box, nm: edges (3,) or
    vectors (3, 3), see `sites.box`.

    Raises DynmatchError when the box is lower than twice the cutoff, and when the model does not
    know the sites.
    """

    def __init__(self, model: Model, box: np.ndarray, topology: SiteTopology):
        self.box, reach = np.asarray(box, np.float64), model.potential.reach
        box = reduced(self.box)
        if not np.all(heights(box) >= 2 * reach):
            raise DynmatchError(
                f"box {box.tolist()} nm: opposite faces have to be at least twice the cutoff "
                f"({reach:g} nm) apart"
            )
        model.potential.require(topology)
        self._box, self.topology = box, topology
        self._potential = model.potential
        self._tables = model.potential.tabulate(model.parameters)
        self._lists = NeighbourLists(model.potential, box, topology.n_sites)
        self._evaluate = None
        self._growths = 0

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy, kJ/mol, and forces (N, 3), kJ/mol/nm, at positions (N, 3), nm.

        Computed in single precision. Raises DynmatchError when the positions have another shape.
        """
        expected = self.topology.n_sites, 3
        if np.shape(positions) != expected:
            raise DynmatchError(
                f"positions of shape {np.shape(positions)}, and {expected} are expected"
            )
        x = jnp.asarray(positions, jnp.float32)
        if self._evaluate is None:
            self._evaluate = self._with_room_for(x)
        energy, forces, fits = self._evaluate(x)
        while not fits:
            self._growths += 1
            self._evaluate = self._with_room_for(x)
            energy, forces, fits = self._evaluate(x)
        return float(energy), np.asarray(forces, np.float64)

    def _with_room_for(self, x: Array):
        """A compiled function of positions, with lists long enough for those at x."""
        lists = self._lists
        capacity = lists.capacity(x[None], self._growths)
        box = jnp.asarray(self._box, jnp.float32)

        @jax.jit
        def evaluate(positions):
            near, fits = lists.update(capacity, positions[None])
            near = jax.tree.map(lambda index: index[0], near)
            given = self._tables, positions, box, self.topology, near
            return self._potential.energy(*given), self._potential.force(*given), fits

        return evaluate
