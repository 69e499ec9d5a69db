"""What is done today with the same data: structural potentials, and dynamics put on afterwards.

Potentials, of the same form as in dynamics matching:

    fm      force matching (`force_matching`)
    rem     relative-entropy minimisation (`relative_entropy`)
    static  the adversarial game on windows of a single frame (`loop.train`, structure_only)

Dynamics, none of them learned:

    ld_thermostat  Langevin, the real mass, the collision rate of a weak thermostat
    ld_einstein    Langevin, the real mass, gamma = kB T / D of the reference
    bd_einstein    Brownian, gamma = kB T / D of the reference
"""

import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from dynmatch.bottom_up import force_matching, relative_entropy
from dynmatch.bottom_up.relative_entropy import StartRates
from dynmatch.model import Model
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import learning_data
from dynmatch.training import train as loop
from dynmatch.units import BOLTZMANN

FRAME_SPACING = 0.2
"""About the time between the frames whose forces are matched, ps."""


def fit(
    method: str,
    trajectory: SiteTrajectory,
    temperature: float,
    potential_settings: dict,
    training_settings: dict,
    updates: int,
    seed: int,
    folder: str | Path,
) -> tuple[Model, list[dict], float]:
    """The potential of one method, as a Langevin model, its history, and the minutes it took.

    potential_settings, training_settings  those sections of a system's config
    updates                                of fm and rem; static takes those of the training
    folder                                 for checkpoints of static

    Raises DynmatchError when fm finds no forces in the trajectory, or static diverges.
    """
    kT = BOLTZMANN * temperature
    begun = time.monotonic()
    if method == "static":
        trained = loop.train(
            trajectory,
            "ld",
            temperature,
            potential_settings,
            training_settings,
            seed,
            folder,
            structure_only=True,
        )
        return trained.model, trained.history, trained.minutes
    form, parameters = loop.start_potential(trajectory, kT, potential_settings)
    mass = loop.mean_mass(trajectory, form.types)
    key = jax.random.PRNGKey(seed)
    history = []
    rates = StartRates(**training_settings["start"]["rates"])
    with tqdm(total=updates, desc=method, unit="update") as bar:

        def report(row):
            history.append(row)
            bar.update(row["update"] - bar.n)

        common = dict(
            updates=updates,
            rates=rates,
            roughness=training_settings["roughness"],
            report=report,
        )
        if method == "fm":
            parameters = force_matching.minimise(
                form, parameters, trajectory, key, spacing=FRAME_SPACING, **common
            )
        else:
            data = learning_data(trajectory, training_settings["lags"], loop.WINDOW_SPACING)
            parameters = relative_entropy.minimise(
                form,
                parameters,
                data,
                mass,
                key,
                replicas=training_settings["start"]["replicas"],
                **common,
            )
    model = Model(
        kind="ld",
        form=form,
        parameters=parameters,
        gamma=mass,
        alpha=1.0,
        mass=mass,
        temperature=temperature,
        time_step=training_settings["ld"]["time_step"],
    )
    return model, history, (time.monotonic() - begun) / 60


def with_dynamics(
    model: Model,
    dynamics: str,
    mass: float | np.ndarray,
    einstein_friction: float | np.ndarray,
    collision_rate: float,
    brownian_time_step: float,
) -> Model:
    """`model` with one of the dynamics above.

    mass               real mass of a site, amu, or (T,) of each type
    einstein_friction  kB T / D of the reference, amu/ps, or (T,) of each type
    collision_rate     gamma / m of the thermostat, 1/ps
    brownian_time_step ps
    """
    model = replace(model, gamma=einstein_friction, alpha=1.0, mass=mass)
    if dynamics == "ld_thermostat":
        return replace(model, gamma=collision_rate * mass)
    if dynamics == "bd_einstein":
        return replace(model, kind="bd", time_step=brownian_time_step)
    return model
