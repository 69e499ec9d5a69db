"""One training from reference trajectory to model: start values, structural start, the game."""

import hashlib
import importlib
import json
import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random
from tqdm import tqdm

from dynmatch.bottom_up import relative_entropy
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.initial import (
    einstein_friction,
    force_frequency,
    friction_in_liquid,
    mean_mass,
    start_values,
    starts_from_friction,
)
from dynmatch.dynamics.registry import card_of
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.model import Model
from dynmatch.potentials.registry import TERMS
from dynmatch.potentials.sum import Potential
from dynmatch.runtime.jax_setup import decided, release_memory
from dynmatch.runtime.source_closure import closure
from dynmatch.settings import MoleculePotentialSettings, PotentialSettings, TrainingSettings
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Windows, windows_of
from dynmatch.storage.checkpoint import Resumable
from dynmatch.training.classifiers.registry import CLASSIFIERS, form_of
from dynmatch.training.convergence import problems_of, status_of
from dynmatch.training.game import Game, standard_for
from dynmatch.training.plan import equation_for, make_plan
from dynmatch.training.play import Progress, play
from dynmatch.training.state import Drawn, GameState, draw
from dynmatch.units import BOLTZMANN

STRUCTURE_LAG = 1.0
"""Time between the frames that a training on structure alone is shown, ps."""
STRUCTURE_FRICTION = 5.0
"""Friction over mass of its Langevin replicas, 1/ps: low, because only their structure matters."""
LIQUID, DEFAULTS = PotentialSettings(), TrainingSettings()
"""Settings where none are given."""
START_COLUMNS = ["update", "minutes", "rdf_error", "gradient_norm"]


@dataclass(frozen=True)
class Trained:
    """What a training leaves: the model, its history, how it ended, and its status."""

    model: Model
    history: list[dict]
    start: list[dict]
    ended_by: str
    status: str
    minutes: float

    @property
    def converged(self) -> bool:
        return self.status == "ok"


@decided()
def train(
    trajectory: SiteTrajectory,
    dynamics: str = "ld",
    temperature: float = 300.0,
    potential: PotentialSettings | MoleculePotentialSettings = LIQUID,
    settings: TrainingSettings = DEFAULTS,
    seed: int = 1,
    folder: str | Path | None = None,
    structure_only: bool = False,
) -> Trained:
    """Train a model on `trajectory` that moves by `dynamics`, a name of `dynamics.registry`.

    temperature     K
    folder          for checkpoints, from which a killed training continues; None for none
    structure_only  windows of a single frame: nothing is learned about the dynamics, which stays as
                    it is

    Raises DynmatchError when the dynamics is unknown, when the training diverges more than twice,
    or does not fit the data.
    """
    prepared = prepare(trajectory, dynamics, temperature, potential, settings, seed, structure_only)
    settings = prepared.game.settings
    # a longer budget is a reason to go on, not to begin again
    lasting = replace(settings, minutes=None, threads=1).section()
    kT = BOLTZMANN * temperature
    decisive = [dynamics, structure_only, kT, potential.section(), lasting, seed]
    form = prepared.game.plan.potential
    terms = [TERMS[term.kind] for term in form.terms]
    modules = [card_of(dynamics).module, potential.start, CLASSIFIERS[form.sees], *terms]
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        resumable = Resumable(folder, _fingerprint(trajectory, decisive, modules))
        state, progress = begin(prepared, seed, resumable)
        state, ended_by = play(prepared.game, state, prepared.data, seed, progress, resumable)
    model = model_of(prepared.game.plan, state.averaged, temperature)
    problems = problems_of(progress.history, settings.updates)
    status = status_of(problems)
    if problems:
        logging.warning("the training has not converged: %s; %s", status, problems[0].remedy)
    minutes = progress.seconds / 60
    return Trained(model, progress.history, progress.start, ended_by, status, minutes)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A game that has not begun.

    data     windows of the reference
    initial  parameters of the "potential", and logarithms of the values of the "dynamics"
    scale    that these are made of
    """

    game: Game
    data: Windows
    initial: dict[str, dict]
    scale: Scale


def prepare(
    trajectory: SiteTrajectory,
    dynamics: str,
    temperature: float,
    potential: PotentialSettings | MoleculePotentialSettings,
    settings: TrainingSettings,
    seed: int,
    structure_only: bool,
) -> Prepared:
    """The game of a training, with the settings of its dynamics; see `train`."""
    kT = BOLTZMANN * temperature
    equation = equation_for(dynamics, settings)
    topology = trajectory.topology
    settings = settings.of_dynamics(dynamics)
    data = windows_of(trajectory, settings.lags, settings.smoothing)
    form, parameters = start_potential(trajectory, kT, potential)
    mass = mean_mass(trajectory)
    plan = make_plan(equation, form, topology, kT, data, settings)
    frames = data.some_frames(20)
    frequency = force_frequency(form, parameters, topology, frames, data.box, mass)
    scale = Scale(mass, einstein_friction(trajectory, kT), frequency)
    begin = start_values(equation, scale, settings.initial, seed)
    keys = {each.key: name for name, each in equation.parameters.items()}
    freeze = tuple(keys[key] for key in settings.freeze if key in keys)
    if structure_only:
        data = replace(data, offsets=data.offsets[:1])
        data = replace(data, averaged=1)
        skipped = round(STRUCTURE_LAG / equation.time_step)
        plan = replace(plan, lag_steps=(), mean_steps=1, skipped=skipped, learned=())
        freeze = tuple(equation.parameters)
        low = equation.initial(replace(scale, friction=STRUCTURE_FRICTION * mass))
        begin = {name: jnp.log(jnp.asarray(value, jnp.float32)) for name, value in low.items()}
    classifier = form_of(form.sees).of(form, topology, settings.classifier)
    windows = data.take(data.starts[np.linspace(0, len(data.starts) - 1, 256).astype(int)])
    game = Game(plan, classifier, settings, freeze, standard_for(classifier, data.box, windows))
    return Prepared(game, data, {"potential": parameters, "dynamics": begin}, scale)


def begin(prepared: Prepared, seed: int, resumable: Resumable) -> tuple[GameState, Progress]:
    """Where the last checkpoint of a game is or, where there is none, its first state, after the
    structural start."""
    game, data, settings = prepared.game, prepared.data, prepared.game.settings
    key, drawn, initial = random.PRNGKey(seed), draw(data, settings, seed, 0), prepared.initial
    found = resumable.load(jax.eval_shape(game.init, key, initial, drawn))
    if found is not None:
        state, progress = found[0], Progress(**found[1])
        logging.info("continuing from the checkpoint of update %d", len(progress.history))
        return state, progress
    progress, begun = Progress(), time.monotonic()
    if settings.start.updates:
        form, topology = game.plan.potential, game.plan.topology
        parameters = structural_start(
            form,
            initial["potential"],
            topology,
            data,
            prepared.scale.mass,
            seed,
            settings,
            progress.start,
        )
        initial = initial | {"potential": parameters}
        of_molecules = game.plan.learned and form.reach and topology.bonds
        if of_molecules and starts_from_friction(game.plan.equation, prepared.scale):
            initial |= {"dynamics": _dynamics_of_molecules(prepared, parameters, drawn, seed)}
        release_memory()
    state = game.init(key, initial, drawn)
    progress.seconds = time.monotonic() - begun
    return state, progress


def _dynamics_of_molecules(
    prepared: Prepared, parameters: dict, drawn: Drawn, seed: int
) -> dict[str, Array]:
    """Logarithms of the start values in a liquid of molecules with these `parameters` of the
    potential."""
    plan, scale = prepared.game.plan, prepared.scale
    tables = plan.potential.tabulate(parameters)
    friction = friction_in_liquid(plan, scale, tables, drawn.reference, seed)
    told = zip(plan.potential.names, scale.friction, friction, strict=True)
    for name, einstein, found in told:
        logging.info("friction of %s: %.4g amu/ps, kB T/D %.4g", name, found, einstein)
    scale = replace(scale, friction=friction)
    return start_values(plan.equation, scale, prepared.game.settings.initial, seed)


def model_of(plan: RolloutPlan, averaged: dict, temperature: float) -> Model:
    """The model of the `averaged` parameters of a game."""
    values = {name: np.asarray(jnp.exp(value)) for name, value in averaged["dynamics"].items()}
    return Model(plan.equation, values, plan.potential, averaged["potential"], temperature)


def start_potential(
    trajectory: SiteTrajectory,
    kT: float,
    settings: PotentialSettings | MoleculePotentialSettings,
) -> tuple[Potential, dict]:
    """The potential that a training starts from, and its parameters; see `settings.start`."""
    return importlib.import_module(settings.start).start(trajectory, kT, settings)


def structural_start(
    potential: Potential,
    parameters: dict,
    topology: SiteTopology,
    data: Windows,
    mass: np.ndarray,
    seed: int,
    settings: TrainingSettings,
    rows: list[dict],
) -> dict:
    """Parameters after relative-entropy minimisation with `training.start`; `rows` of start.csv are
    appended as they come."""
    start = settings.start
    with tqdm(total=start.updates, desc="structural start", unit="update") as bar:
        return relative_entropy.minimise(
            potential,
            parameters,
            topology,
            data,
            mass,
            seed,
            updates=start.updates,
            replicas=start.replicas,
            rate=start.rate,
            roughness=settings.roughness,
            report=_teller(bar, rows),
        )


def _teller(bar: tqdm, rows: list[dict]) -> Callable[[dict], None]:
    def tell(row):
        rows.append(row)
        bar.set_postfix_str(f"rdf error {row['rdf_error']:.3f}")
        bar.update(row["update"] - bar.n)

    return tell


def _fingerprint(trajectory: SiteTrajectory, decisive: list, modules: list[str]) -> str:
    """Of the data, what is decisive of the settings, and the code, with `modules` that are named
    and not imported: a checkpoint of any other is not gone on from."""
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for file in closure(["dynmatch.training.train", *modules]):
        digest.update(file.read_bytes())
    digest.update(np.ascontiguousarray(trajectory.positions[:: max(1, trajectory.n_frames // 50)]))
    return digest.hexdigest()
