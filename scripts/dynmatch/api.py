"""A trained model in a few lines of Python; see docs/api.md."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from dynmatch import model_file
from dynmatch.model import Model
from dynmatch.runtime.jax_setup import decided
from dynmatch.simulation import run
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory


class TrainedModel:
    """A model with its potential and its dynamics; `parameters` holds what was learned."""

    def __init__(self, parameters: Model):
        self.parameters = parameters
        self._sites = lru_cache(1)(parameters.sites)
        self._calculator: Calculator | None = None

    def energy(
        self, positions: np.ndarray, box: np.ndarray, topology: SiteTopology | None = None
    ) -> float:
        """Potential energy, kJ/mol, of positions (N, 3) in a periodic box, both nm: edges
        (3,) or vectors (3, 3), the first along x and the second in the xy plane.

        `topology` is that of the sites; all are of the only type where it is not given.
        """
        return self.evaluate(positions, box, topology)[0]

    def forces(
        self, positions: np.ndarray, box: np.ndarray, topology: SiteTopology | None = None
    ) -> np.ndarray:
        """Forces (N, 3), kJ/mol/nm, as `energy`."""
        return self.evaluate(positions, box, topology)[1]

    @decided()
    def evaluate(
        self, positions: np.ndarray, box: np.ndarray, topology: SiteTopology | None = None
    ) -> tuple[float, np.ndarray]:
        """Energy and forces at once, see there."""
        known = self._calculator
        if topology is None:
            topology = self._sites(np.shape(positions)[0])
        if known is None or known.topology != topology or not np.array_equal(known.box, box):
            self._calculator = Calculator(self.parameters, box, topology)
        return self._calculator(positions)

    def simulate(
        self,
        start: SiteTrajectory,
        *,
        length: float,
        frame_spacing: float,
        equilibration: float = 0.0,
        replicas: int = 1,
        copies: int = 1,
        seed: int = 1,
    ) -> SiteTrajectory:
        """Trajectories with the learned dynamics, from frames of `start`; all times in ps. With
        `copies` the box is that many times as long in each direction.

        Raises DynmatchError when `frame_spacing` is no multiple of the model's time step, when the
        model does not know the sites, and when a replica explodes.
        """
        return run.simulate(
            self.parameters,
            start,
            replicas=replicas,
            copies=copies,
            length=length,
            equilibration=equilibration,
            frame_spacing=frame_spacing,
            seed=seed,
        )


@decided()
def load_model(path: str | Path) -> TrainedModel:
    """The trained model of the file `path`, a model.yaml with its model.npz beside it.

    Raises DynmatchError when it cannot be read.
    """
    return TrainedModel(model_file.load(path))


def simulate(model: Model | TrainedModel, start: SiteTrajectory, **settings) -> SiteTrajectory:
    """`simulation.run.simulate` of a model as it was trained, or as it was loaded."""
    parameters = model.parameters if isinstance(model, TrainedModel) else model
    return run.simulate(parameters, start, **settings)
