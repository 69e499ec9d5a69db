"""A trained model in a few lines of Python; see docs/api.md."""

from pathlib import Path

import numpy as np

from dynmatch import model as models
from dynmatch.model import Model
from dynmatch.simulation.calculator import Evaluator
from dynmatch.simulation.run import simulate
from dynmatch.sites.trajectory import SiteTrajectory


class TrainedModel:
    """A model with its potential and its dynamics; `parameters` holds what was learned."""

    def __init__(self, parameters: Model):
        self.parameters = parameters
        self._evaluator: Evaluator | None = None

    def energy(self, positions: np.ndarray, box: np.ndarray) -> float:
        """Potential energy, kJ/mol, of positions (N, 3) in a periodic box (3,), both nm."""
        return self.evaluate(positions, box)[0]

    def forces(self, positions: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Forces (N, 3), kJ/mol/nm, at positions (N, 3) in a periodic box (3,), both nm."""
        return self.evaluate(positions, box)[1]

    def evaluate(self, positions: np.ndarray, box: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy and forces at once, see there."""
        known, sites = self._evaluator, np.shape(positions)[0]
        if known is None or known.n_sites != sites or not np.array_equal(known.box, box):
            self._evaluator = Evaluator(self.parameters, box, sites)
        return self._evaluator(positions)

    def simulate(
        self,
        start: SiteTrajectory,
        *,
        length: float,
        frame_spacing: float,
        equilibration: float = 0.0,
        replicas: int = 1,
        seed: int = 1,
    ) -> SiteTrajectory:
        """Trajectories with the learned dynamics, from frames of `start`; all times in ps.

        Raises DynmatchError when `frame_spacing` is no multiple of the model's time step, and when
        a replica explodes.
        """
        return simulate(
            self.parameters,
            start,
            replicas=replicas,
            length=length,
            equilibration=equilibration,
            frame_spacing=frame_spacing,
            seed=seed,
        )


def load_model(path: str | Path) -> TrainedModel:
    """The trained model of the file `path`, a model.yaml with its model.npz beside it.

    Raises DynmatchError when it cannot be read.
    """
    return TrainedModel(models.load(path))
