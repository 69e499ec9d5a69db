"""Long runs of a trained model, that can be killed and continued."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from tqdm import tqdm

from dynmatch.dynamics.registry import card_of
from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.potentials.registry import TERMS
from dynmatch.runtime.jax_setup import decided
from dynmatch.runtime.source_closure import closure
from dynmatch.simulation.replicas import Progress, first_frames, propagator
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage.checkpoint import Resumable

FRAMES_PER_CHUNK = 250


@decided()
def simulate(
    model: Model,
    start: SiteTrajectory,
    *,
    length: float,
    frame_spacing: float,
    equilibration: float = 0.0,
    replicas: int = 1,
    copies: int = 1,
    seed: int = 1,
    folder: str | Path | None = None,
) -> SiteTrajectory:
    """Run `replicas` of `length` ps from frames of `start`, after `equilibration` ps.

    Frames are `frame_spacing` ps apart; velocities (dR/dt, nm/ps) are written where the dynamics
    has any. Box, masses and topology are those of `start`, any number of the sites and molecules
    that the model knows. With `copies` the box is that many times as long in each direction, and
    filled with as many copies of a frame. Checkpoints, each with the frames since the last one, are
    in `folder`, if there is one: a run that was killed continues from there, and ends with the same
    frames bit for bit (on the CPU with one thread).

    Raises DynmatchError, naming step, replica and energy, when a replica leaves the realm of
    numbers or explodes, and when frame_spacing is not a multiple of the model's time step.
    """
    steps = steps_of(frame_spacing, model)
    if copies > 1:
        start = first_frames(start, replicas).repeated(copies)
    skipped = -(-round(equilibration / frame_spacing) // FRAMES_PER_CHUNK)
    wanted = round(length / frame_spacing) + 1
    chunks = skipped + -(-wanted // FRAMES_PER_CHUNK)
    progress, advance = propagator(model, start, replicas, steps, FRAMES_PER_CHUNK, seed)
    resumable, parts = None, []
    if folder:
        first = progress.states.position
        decisive = (replicas, equilibration, frame_spacing, seed)
        resumable = Resumable(folder, _fingerprint(model, first, *decisive))
        kinds = ["positions"] + ["velocities"] * card_of(model.equation.name).velocities
        template = dict.fromkeys(kinds, first)
        progress, parts = _resumed(resumable, progress, template, steps)
    parts = go_on(advance, progress, parts, chunks, skipped, steps, resumable)
    shape = (replicas * wanted, start.n_sites, 3)
    joined = {name: array[:, :wanted].reshape(shape) for name, array in _joined(parts).items()}
    return SiteTrajectory(
        time=np.tile(np.arange(wanted) * frame_spacing, replicas),
        masses=start.masses,
        topology=start.topology,
        box=start.box,
        **joined,
    )


def steps_of(frame_spacing: float, model: Model) -> int:
    """Time steps of the model from frame to frame, `frame_spacing` ps apart.

    Raises DynmatchError where they are not a whole number.
    """
    steps = round(frame_spacing / model.time_step)
    if abs(steps * model.time_step - frame_spacing) > 1e-6 * frame_spacing:
        raise DynmatchError(
            f"validation.frame_spacing: {frame_spacing:g} ps is not a multiple of the time step "
            f"{model.time_step:g} ps of the {model.equation.name} model"
        )
    return steps


def go_on(
    advance: Callable,
    progress: Progress,
    parts: list[dict],
    chunks: int,
    skipped: int,
    steps: int,
    resumable: Resumable | None,
) -> list[dict]:
    """Frames up to `chunks` chunks: `parts`, which there were, and those that have come since.

    Of the first `skipped` chunks no frames are kept. A part is a mapping of "positions", and
    "velocities" where there are any, to arrays (replicas, F, N, 3); checkpoints are parts.
    """
    parts, unsaved = list(parts), []
    with tqdm(
        total=chunks * FRAMES_PER_CHUNK,
        initial=progress.done * FRAMES_PER_CHUNK,
        desc="validation",
        unit="frame",
    ) as bar:
        while progress.done < chunks:
            progress, x, v = advance(progress)
            frames = {"positions": x} | ({} if v is None else {"velocities": v})
            if progress.done <= skipped:
                frames = {name: array[:, :0] for name, array in frames.items()}
            unsaved.append(frames)
            if resumable and resumable.due():
                parts.append(_joined(unsaved))
                unsaved = []
                state = (progress.states, progress.energies, parts[-1])
                record = {name: getattr(progress, name) for name in ("done", "growths", "rebuild")}
                resumable.save_part(len(parts) - 1, state, record)
            bar.update(FRAMES_PER_CHUNK)
            bar.set_postfix_str(
                f"step {progress.done * FRAMES_PER_CHUNK * steps}, "
                f"energy {progress.energies.mean():.5g} kJ/mol"
            )
    return parts + unsaved


def _resumed(
    resumable: Resumable, progress: Progress, frames: dict, steps: int
) -> tuple[Progress, list[dict]]:
    """Where the checkpoints of a run end, and their frames; `progress` where there are none.

    `frames` are of the form of those of a part.
    """
    saved = resumable.load_parts((progress.states, progress.energies, frames))
    if saved:
        (states, energies, _), record = saved[-1]
        progress = Progress(states, energies, **record)
        logging.info(
            "continuing from the checkpoint at step %d", progress.done * FRAMES_PER_CHUNK * steps
        )
    return progress, [frames for (_, _, frames), _ in saved]


def _joined(parts: list[dict]) -> dict[str, np.ndarray]:
    """Frames (replicas, F, N, 3) of all parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]}


def _fingerprint(model: Model, positions: jax.Array, *settings) -> str:
    """Of all that decides the course of the run, the code included."""
    values = {name: np.asarray(value).tolist() for name, value in model.values.items()}
    numbers = [model.equation.name, values, model.kT, model.time_step, model.potential.record()]
    digest = hashlib.sha256(json.dumps([numbers, settings], sort_keys=True).encode())
    for array in [*jax.tree.leaves(model.parameters), positions]:
        digest.update(np.ascontiguousarray(array))
    terms = [TERMS[term.kind] for term in model.potential.terms]
    for file in closure(["dynmatch.simulation.run", card_of(model.equation.name).module, *terms]):
        digest.update(file.read_bytes())
    return digest.hexdigest()
