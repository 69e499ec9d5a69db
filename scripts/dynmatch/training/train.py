"""One training from reference trajectory to model: start values, structural start, the game.

This is where wall time, checkpoints, progress and second chances live; the mathematics is in
`relative_entropy`, `training` and `rollout`.
"""

import hashlib
import json
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from tqdm import tqdm

from dynmatch.bottom_up import relative_entropy
from dynmatch.bottom_up.boltzmann_inversion import start_potential
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.observables.centre import centre_diffusion
from dynmatch.observables.msd import diffusion, msd_samples
from dynmatch.potentials import potential
from dynmatch.potentials.molecular import MolecularForm
from dynmatch.potentials.torsional import InternalForm
from dynmatch.runtime.jax_setup import release_memory
from dynmatch.runtime.source_closure import closure
from dynmatch.sites.topology import bonds_of, molecules_of
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import (
    LearningData,
    learning_data,
    room_for_neighbours,
)
from dynmatch.storage import checkpoint
from dynmatch.training import game as training
from dynmatch.training.classifiers.liquid import ClassifierForm
from dynmatch.training.classifiers.molecule import InternalClassifierForm
from dynmatch.units import BOLTZMANN

WINDOW_SPACING = 1.0
"""About the time between two possible starts of reference windows, ps."""
GRADIENT_SPAN = 3.0
"""Damping times before each frame through which the gradient is carried."""
REBUILD = 10
ROOM = 1.3
"""For neighbours of a site, over the most in the reference."""
CHECKPOINT_SECONDS = 20.0
STRUCTURE_LAG = 1.0
"""Time between the frames that a training on structure alone is shown, ps."""
STRUCTURE_FRICTION = 5.0
"""Friction over mass of its Langevin replicas, 1/ps: low, because only their structure matters."""
CONFINED = 0.5
"""Of MSD/6t at the beginning of its fit: with a smaller D, sites are taken for confined."""
START_COLUMNS = ["update", "minutes", "rdf_error", "gradient_norm"]
SECOND_CHANCES = 2
LARGEST_GRADIENT = 1e4


@dataclass(frozen=True)
class Trained:
    """What a training leaves: the model, its history, and how it ended."""

    model: Model
    history: list[dict]
    start: list[dict]
    ended_by: str
    converged: bool
    minutes: float


@dataclass
class Progress:
    """What a checkpoint keeps beside the game's state."""

    history: list[dict] = field(default_factory=list)
    start: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    rate: float = 1.0
    chances_used: int = 0


def train(
    trajectory: SiteTrajectory,
    kind: str,
    temperature: float,
    potential_settings: dict,
    settings: dict,
    seed: int,
    folder: str | Path,
    structure_only: bool = False,
) -> Trained:
    """Train a "bd" or "ld" model on `trajectory`.

    potential_settings, settings  the sections `potential` and `training` of a system's config
    folder                        for checkpoints; a killed training continues from there
    structure_only                windows of a single frame: nothing is learned about the dynamics,
                                  and gamma, alpha and m stay as they are

    Raises DynmatchError when the training diverges more than twice, or does not fit the data.
    """
    kT = BOLTZMANN * temperature
    data = learning_data(trajectory, settings["lags"], WINDOW_SPACING, settings["smoothing"])
    form, parameters = start_potential(trajectory, kT, potential_settings)
    mass = mean_mass(trajectory, form.types)
    plan = make_plan(kind, form, kT, data, settings)
    game_settings = make_settings(settings)
    dynamics = start_dynamics(trajectory, kT, mass, settings["initial"], seed, form.types)
    if structure_only:
        data = replace(data, offsets=data.offsets[:1])
        lag = round(STRUCTURE_LAG / plan.time_step)
        plan = replace(plan, lag_steps=(lag,), mean_steps=1, structure_only=True)
        game_settings = replace(game_settings, freeze=training.DYNAMICS)
        dynamics["gamma"] = dynamics["mass"] + jnp.log(STRUCTURE_FRICTION)
    classifier_form = make_classifier(form, settings["classifier"])
    key = random.PRNGKey(seed)
    start_key, game_key = random.split(key)
    reference, scale = training.prepare_reference(classifier_form, data)
    game = training.make_game(plan, classifier_form, game_settings, scale)
    reference = game.place(reference)
    initial = {"potential": parameters, "dynamics": dynamics}
    # a longer budget is a reason to go on, not to begin again
    lasting = {k: v for k, v in settings.items() if k not in ("minutes", "threads")}
    fingerprint = _fingerprint(
        trajectory, kind, structure_only, kT, potential_settings, lasting, seed
    )
    # its coordinates are the largest thing in memory, and not needed any more
    del trajectory
    template = jax.eval_shape(game.init, game_key, initial, reference)
    found = checkpoint.load(folder, fingerprint, template)
    begun = time.monotonic()
    if found is None:
        progress = Progress()
        if settings["start"]["updates"]:
            initial["potential"] = structural_start(
                form, parameters, data, mass, start_key, settings, progress.start.append
            )
            release_memory()
        state = game.init(game_key, initial, reference)
    else:
        state, progress = found[0], Progress(**found[1])
        logging.info("continuing from the checkpoint of update %d", len(progress.history))

    state, ended_by, seconds = play(
        game, state, reference, progress, settings, kind, kT, folder, fingerprint, begun
    )
    averaged = state.averaged
    values = {name: np.asarray(jnp.exp(averaged["dynamics"][name])) for name in training.DYNAMICS}
    values = {name: value if value.ndim else value.item() for name, value in values.items()}
    model = Model(
        kind=kind,
        form=form,
        parameters=averaged["potential"],
        gamma=values["gamma"],
        alpha=values["alpha"],
        mass=values["mass"],
        temperature=temperature,
        time_step=plan.time_step,
    )
    converged = has_converged(progress.history, settings["updates"])
    if not converged:
        logging.warning(
            "the training has not converged: the score gap (%.2g) is above its floor (%.2g), or D0 "
            "still moves; raise training.minutes and training.updates, or, where the structure "
            "differs, give the potential more freedom",
            progress.history[-1]["score_gap_smoothed"],
            progress.history[-1]["gap_floor"],
        )
    return Trained(model, progress.history, progress.start, ended_by, converged, seconds / 60)


def mean_mass(
    trajectory: SiteTrajectory, types: tuple[int, ...] | None = None
) -> float | np.ndarray:
    """Mean mass of the sites, amu, or (T,) of the sites of each type."""
    if types is None:
        return float(np.mean(trajectory.masses))
    return np.bincount(types, trajectory.masses) / np.bincount(types)


def einstein_friction(
    trajectory: SiteTrajectory, kT: float, types: tuple[int, ...] | None = None
) -> float | np.ndarray:
    """kB T/D, amu/ps, of the reference's diffusion constant D.

    With `types` (N,) of the sites, an array (T,): kB T/(n D) with D of the sites of a type and n
    the sites of their molecules, whose frictions add up. For a single molecule kB T/D of its centre
    of mass is the sum over all sites, which share it in proportion to their masses. Where the MSD
    levels off while D is fitted, as in a droplet, D is MSD/6t at the beginning of the fit.
    """
    molecules = molecules_of(trajectory.n_sites, bonds_of(trajectory.topology))
    if len(molecules) == 1:
        d = float(centre_diffusion(trajectory).d_nm2_per_ps.iloc[0])
        return kT / d / np.sum(trajectory.masses) * mean_mass(trajectory, types)
    stride = max(1, round(WINDOW_SPACING / trajectory.frame_spacing))
    coarse = trajectory.frames(slice(None, None, stride))
    length = trajectory.frame_spacing * trajectory.replicas()[0].n_frames

    def friction(sites):
        lag, blocks, of_sites = msd_samples(sites, length / 4)
        fit = diffusion(lag, blocks, of_sites, length).iloc[0]
        early = np.mean(of_sites[:, lag == fit.fit_from_ps]) / (6 * fit.fit_from_ps)
        confined = fit.d_nm2_per_ps < CONFINED * early
        return kT / float(early if confined else fit.d_nm2_per_ps)

    if types is None:
        return friction(coarse)
    sizes = np.empty(trajectory.n_sites)
    for molecule in molecules:
        sizes[molecule] = len(molecule)
    members = [np.flatnonzero(np.array(types) == number) for number in range(max(types) + 1)]
    return np.array(
        [
            friction(replace(coarse, positions=coarse.positions[:, own], masses=coarse.masses[own]))
            / np.mean(sizes[own])
            for own in members
        ]
    )


def start_dynamics(
    trajectory: SiteTrajectory,
    kT: float,
    mass: float | np.ndarray,
    initial: dict,
    seed: int,
    types: tuple[int, ...] | None = None,
) -> dict:
    """ln of gamma = kB T/D (Einstein, D of the reference), alpha = 1, m = mean site mass.

    gamma and m are arrays (T,) where there are `types`. `initial` starts the training wrong on
    purpose: by gamma_factor and mass_factor, and gamma by a factor drawn from `seed`, log-uniform
    between 1/gamma_spread and gamma_spread.
    """
    drawn = initial["gamma_spread"] ** np.random.default_rng(seed).uniform(-1.0, 1.0)
    values = {
        "gamma": einstein_friction(trajectory, kT, types) * initial["gamma_factor"] * drawn,
        "alpha": 1.0,
        "mass": mass * initial["mass_factor"],
    }
    return {name: jnp.log(jnp.float32(value)) for name, value in values.items()}


def make_plan(
    kind: str, form: potential.PotentialForm, kT: float, data: LearningData, settings: dict
) -> RolloutPlan:
    """The roll-out plan of the config's training section."""
    time_step = settings[kind]["time_step"]
    damping = settings[kind]["damping_time"]
    lag_steps = tuple(round(lag / time_step) for lag in settings["lags"])
    blocks = max(1, round(GRADIENT_SPAN * damping / time_step / REBUILD))
    plan = RolloutPlan(
        kind=kind,
        form=form,
        kT=kT,
        box=tuple(float(edge) for edge in data.box),
        time_step=time_step,
        lag_steps=lag_steps,
        gradient_steps=blocks * REBUILD,
        damping_time=damping,
        rebuild=REBUILD,
        mean_steps=max(1, round(settings["smoothing"] / time_step)),
    )
    if isinstance(form, InternalForm):
        # a molecule is small: what a step costs is the same for all windows together
        return replace(plan, chunk=settings["windows"])
    room = room_for_neighbours(data, form.three_body_cutoff + plan.skin, ROOM)
    return replace(plan, neighbours=room)


def make_classifier(
    form: potential.PotentialForm | MolecularForm | InternalForm, settings: dict
) -> ClassifierForm | InternalClassifierForm:
    """The classifier's form, of the config's training.classifier."""
    hidden = tuple(settings["hidden"])
    if isinstance(form, InternalForm):
        return InternalClassifierForm(form, hidden)
    return ClassifierForm(
        cutoff=form.cutoff,
        inner=0.85 * form.core,
        channels=settings["channels"],
        hidden=hidden,
        types=form.types or (),
        linked=form.linked,
    )


def make_settings(settings: dict) -> training.GameSettings:
    """The game's settings out of the config's training section."""
    rates, judge = settings["rates"], settings["classifier"]
    names = {"gamma": "gamma", "alpha": "alpha", "m": "mass"}
    return training.GameSettings(
        windows=settings["windows"],
        renewal=settings["renewal"],
        reference_windows=settings["aa_windows"],
        classifier_steps=judge["steps"],
        classifier_rate=judge["rate"],
        penalty=judge["penalty"],
        pair_rate=rates["pair"],
        radial_rate=rates["radial"],
        network_rate=rates["network"],
        dynamics_rate=rates["dynamics"],
        updates=settings["updates"],
        roughness=settings["roughness"],
        freeze=tuple(names[name] for name in settings["freeze"]),
    )


def structural_start(form, parameters, data, mass, key, settings, report) -> dict:
    """Parameters after relative-entropy minimisation with the config's `training.start`."""
    start = settings["start"]
    with tqdm(total=start["updates"], desc="structural start", unit="update") as bar:

        def tell(row):
            report(row)
            bar.set_postfix_str(f"rdf error {row['rdf_error']:.3f}")
            bar.update(row["update"] - bar.n)

        return relative_entropy.minimise(
            form,
            parameters,
            data,
            mass,
            key,
            updates=start["updates"],
            replicas=start["replicas"],
            rates=relative_entropy.StartRates(**start["rates"]),
            roughness=settings["roughness"],
            report=tell,
        )


def play(
    game: training.Game,
    state: training.GameState,
    reference: training.Reference,
    progress: Progress,
    settings: dict,
    kind: str,
    kT: float,
    folder: str | Path,
    fingerprint: str,
    begun: float,
) -> tuple[training.GameState, str, float]:
    """Update until the game has converged, or the number of updates or the minutes are used up.

    A diverged update is undone back to the last checkpoint, with half the rate, at most twice.
    Returns the state, what ended the game ("converged", "updates" or "minutes"), and the seconds
    used.
    """
    earlier = progress.seconds
    last_saved = time.monotonic()
    template = state

    def save():
        checkpoint.save(folder, fingerprint, state, vars(progress))

    if not progress.history:
        save()
    with tqdm(
        total=settings["updates"], initial=len(progress.history), desc="training", unit="update"
    ) as bar:
        while True:
            progress.seconds = earlier + time.monotonic() - begun
            if has_converged(progress.history, settings["updates"]):
                ended_by = "converged"
                break
            if len(progress.history) >= settings["updates"]:
                ended_by = "updates"
                break
            if progress.history and progress.seconds > 60 * settings["minutes"]:
                ended_by = "minutes"
                break
            new_state, metrics = game.update(state, reference, jnp.float32(progress.rate))
            metrics = {name: float(value) for name, value in jax.device_get(metrics).items()}
            if diverged(metrics):
                used, number = progress.chances_used + 1, len(progress.history) + 1
                if used > SECOND_CHANCES:
                    raise DynmatchError(
                        f"the training diverged at update {number} for the third time "
                        f"({_describe(metrics)}); lower training.rates, or the time step or the "
                        "damping time of the generator"
                    )
                state, record = checkpoint.load(folder, fingerprint, template)
                # other replicas and noise, or the same step would diverge again
                state = game.restart(random.fold_in(state.key, used), state, reference)
                rate = 0.5 * progress.rate
                logging.warning(
                    "update %d diverged (%s): back to update %d with the rates halved",
                    number,
                    _describe(metrics),
                    len(record["history"]),
                )
                progress.__dict__.update(record)
                progress.rate, progress.chances_used = rate, used
                bar.n = len(progress.history)
                continue
            state = new_state
            progress.history.append(_row(len(progress.history) + 1, progress, metrics, kind, kT))
            if time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                save()
                last_saved = time.monotonic()
            row = progress.history[-1]
            bar.set_postfix_str(
                f"gap {row['score_gap_smoothed']:.3f} D0 {row['d0_nm2_per_ps']:.5f} nm^2/ps "
                f"m {row['mass_amu']:.3g} amu |g| {row['gradient_norm']:.2g}"
            )
            bar.update()
    save()
    return state, ended_by, progress.seconds


def diverged(metrics: dict) -> bool:
    finite = all(np.isfinite(value) for value in metrics.values())
    return not finite or metrics["gradient_norm"] > LARGEST_GRADIENT


def has_converged(history: list[dict], updates: int) -> bool:
    """Score gap at its noise floor, and D0 steady to 1 % over the last quarter of `updates`: the
    mean D0 of the second half, as the model is that of the parameters.

    Never before three quarters: until then the rates are high, and the mean is of few updates.
    """
    if len(history) < max(4, 3 * updates // 4):
        return False
    d0 = np.array([row["d0_nm2_per_ps"] for row in history[updates // 2 :]])
    means = np.cumsum(d0) / np.arange(1, len(d0) + 1)
    late = means[-max(1, updates // 4) :]
    gap, floor = history[-1]["score_gap_smoothed"], history[-1]["gap_floor"]
    return bool(gap <= floor and np.ptp(late) <= 0.01 * np.mean(late))


def _row(number: int, progress: Progress, metrics: dict, kind: str, kT: float) -> dict:
    values = (metrics[name] for name in ("gamma", "alpha", "mass_amu"))
    derived = training.identifiable(kind, kT, *values)
    return {
        "update": number,
        "phase": "game",
        "minutes": progress.seconds / 60,
        **metrics,
        **derived,
        "rate": progress.rate,
    }


def _describe(metrics: dict) -> str:
    return (
        f"score gap {metrics['score_gap']:.3g}, gradient norm {metrics['gradient_norm']:.3g}, "
        f"gamma {metrics['gamma']:.3g} amu/ps"
    )


def _fingerprint(trajectory: SiteTrajectory, *settings) -> str:
    """Of the data, the settings, and the code: a checkpoint of any other is not gone on from."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in closure(["dynmatch.training.train"]):
        digest.update(file.read_bytes())
    digest.update(np.ascontiguousarray(trajectory.positions[:: max(1, trajectory.n_frames // 50)]))
    return digest.hexdigest()
