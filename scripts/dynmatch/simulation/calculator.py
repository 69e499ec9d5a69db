"""Energy and forces of a trained model, for whoever wants to move the sites by other means."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials import potential
from dynmatch.potentials.neighbour_lists import lists_for


class Evaluator:
    """Energy and forces of `model` for `n_sites` sites in a periodic box (3,), nm.

    Raises DynmatchError when the box has an edge shorter than twice the cutoff.
    """

    def __init__(self, model: Model, box: np.ndarray, n_sites: int):
        box = np.asarray(box, np.float64)
        if box.shape != (3,) or not np.all(box >= 2 * model.form.cutoff):
            raise DynmatchError(
                f"box {box.tolist()} nm: three edges of at least twice the cutoff "
                f"({model.form.cutoff:g} nm) are needed"
            )
        self.box, self.n_sites = box, n_sites
        self._form = model.form
        self._tables = potential.tabulate(model.form, model.parameters)
        self._lists = lists_for(model.form, box, n_sites)
        self._evaluate = None
        self._grown = 0

    def __call__(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy, kJ/mol, and forces (N, 3), kJ/mol/nm, at positions (N, 3), nm.

        Computed in single precision. Raises DynmatchError when the positions have another shape.
        """
        if np.shape(positions) != (self.n_sites, 3):
            raise DynmatchError(
                f"positions of shape {np.shape(positions)}, and ({self.n_sites}, 3) are expected"
            )
        x = jnp.asarray(positions, jnp.float32)
        if self._evaluate is None:
            self._evaluate = self._with_room_for(x)
        energy, forces, fits = self._evaluate(x)
        while not fits:
            self._grown += 1
            self._evaluate = self._with_room_for(x)
            energy, forces, fits = self._evaluate(x)
        return float(energy), np.asarray(forces, np.float64)

    def _with_room_for(self, x: Array):
        """A compiled function of positions, with lists long enough for those at x."""
        lists = self._lists
        room = lists.room(x[None], self._grown)
        box = jnp.asarray(self.box, jnp.float32)

        @jax.jit
        def evaluate(positions):
            near, fits = lists.update(room, positions[None])
            near = jax.tree.map(lambda index: index[0], near)
            energy = potential.energy(self._form, self._tables, positions, box, near)
            return energy, potential.force(self._form, self._tables, positions, box, near), fits

        return evaluate
