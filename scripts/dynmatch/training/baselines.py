"""What is done today with the same data: structural potentials, and dynamics put on afterwards.

Potentials, of the same form as in dynamics matching:

    fm      force matching (`force_matching`)
    rem     relative-entropy minimisation (`relative_entropy`)
    static  the adversarial game on windows of a single frame (`train.train`, structure_only)

Dynamics, none of them learned:

    ld_thermostat  Langevin, the real mass, the collision rate of a weak thermostat
    ld_einstein    Langevin, the real mass, gamma = kB T / D of the reference
    bd_einstein    Brownian, gamma = kB T / D of the reference
"""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dynmatch.bottom_up import force_matching, relative_entropy
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.initial import mean_mass
from dynmatch.model import Model
from dynmatch.settings import BaselineSettings, PotentialSettings, TrainingSettings
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import windows_of
from dynmatch.training.plan import equation_for
from dynmatch.training.train import start_potential, train
from dynmatch.units import BOLTZMANN

DYNAMICS = {
    "ld_thermostat": ("ld", "thermostat"),
    "ld_einstein": ("ld", "einstein"),
    "bd_einstein": ("bd", "einstein"),
}
"""Name -> equation of motion, and where its friction is from."""


def fit(
    method: str,
    trajectory: SiteTrajectory,
    temperature: float,
    potential: PotentialSettings,
    training: TrainingSettings,
    baselines: BaselineSettings,
    seed: int,
    folder: str | Path,
) -> tuple[Model, list[dict], float]:
    """The potential of one method, as a Langevin model, its history, and the minutes it took.

    training   of static, and its structural start, which is that of rem
    baselines  updates and rates of fm
    folder     for checkpoints of static

    Raises DynmatchError when fm finds no forces in the trajectory, or static diverges.
    """
    kT = BOLTZMANN * temperature
    begun = time.monotonic()
    if method == "static":
        trained = train(
            trajectory, "ld", temperature, potential, training, seed, folder, structure_only=True
        )
        return trained.model, trained.history, trained.minutes
    form, parameters = start_potential(trajectory, kT, potential)
    mass = mean_mass(trajectory)
    history = []
    updates = baselines.updates if method == "fm" else training.start.updates
    with tqdm(total=updates, desc=method, unit="update") as bar:

        def report(row):
            history.append(row)
            bar.update(row["update"] - bar.n)

        common = dict(updates=updates, roughness=training.roughness, report=report)
        if method == "fm":
            parameters = force_matching.minimise(
                form, parameters, trajectory, seed, rates=baselines.rates, **common
            )
        else:
            data = windows_of(trajectory, training.lags)
            parameters = relative_entropy.minimise(
                form,
                parameters,
                trajectory.topology,
                data,
                mass,
                seed,
                replicas=training.start.replicas,
                rate=training.start.rate,
                **common,
            )
    equation = equation_for("ld", training)
    values = equation.initial(Scale(mass, mass, mass))
    model = Model(equation, values, form, parameters, temperature)
    return model, history, (time.monotonic() - begun) / 60


def with_dynamics(
    model: Model,
    dynamics: str,
    mass: np.ndarray,
    einstein_friction: np.ndarray,
    collision_rate: float,
    training: TrainingSettings,
) -> Model:
    """`model` with one of the `DYNAMICS` above.

    mass               (T,) real mass of a site of each type, amu
    einstein_friction  (T,) kB T / D of the reference, amu/ps
    collision_rate     gamma / m of the thermostat, 1/ps
    """
    name, friction = DYNAMICS[dynamics]
    equation = equation_for(name, training)
    given = {"einstein": einstein_friction, "thermostat": collision_rate * mass}[friction]
    return replace(model, equation=equation, values=equation.initial(Scale(mass, given, mass)))
