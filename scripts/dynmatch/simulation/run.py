"""Long runs of a trained model, that can be killed and continued."""

import hashlib
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.runtime.source_closure import closure
from dynmatch.simulation.replicas import Progress, propagator
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage import checkpoint

FRAMES_PER_CHUNK = 250
CHECKPOINT_SECONDS = 20.0


def simulate(
    model: Model,
    start: SiteTrajectory,
    *,
    replicas: int,
    length: float,
    equilibration: float,
    frame_spacing: float,
    seed: int,
    folder: str | Path | None = None,
) -> SiteTrajectory:
    """Run `replicas` of `length` ps from frames of `start`, after `equilibration` ps.

    Frames are `frame_spacing` ps apart; velocities are written for Langevin models (dR/dt, nm/ps).
    Box, masses and topology are those of `start`. Checkpoints, each with the frames since the last
    one, are in `folder`, if there is one: a run that was killed continues from there, and ends with
    the same frames bit for bit (on the CPU with one thread).

    Raises DynmatchError, naming step, replica and energy, when a replica leaves the realm of
    numbers or explodes, and when frame_spacing is not a multiple of the model's time step.
    """
    steps = round(frame_spacing / model.time_step)
    if abs(steps * model.time_step - frame_spacing) > 1e-6 * frame_spacing:
        raise DynmatchError(
            f"validation.frame_spacing: {frame_spacing:g} ps is not a multiple of the time step "
            f"{model.time_step:g} ps of the {model.kind} model"
        )
    skipped = -(-round(equilibration / frame_spacing) // FRAMES_PER_CHUNK)
    wanted = round(length / frame_spacing) + 1
    chunks = skipped + -(-wanted // FRAMES_PER_CHUNK)
    progress, advance = propagator(model, start, replicas, steps, FRAMES_PER_CHUNK, seed)
    first = progress.states.position
    fingerprint = _fingerprint(model, first, replicas, equilibration, frame_spacing, seed)
    kinds_of_frames = ("positions", "velocities") if model.kind == "ld" else ("positions",)
    template = (progress.states, progress.energies, dict.fromkeys(kinds_of_frames, first))
    saved = _sound_checkpoints(Path(folder), fingerprint, template) if folder else []
    if saved:
        (states, energies, _), record = saved[-1]
        progress = Progress(states, energies, **record)
        logging.info(
            "continuing from the checkpoint at step %d", progress.done * FRAMES_PER_CHUNK * steps
        )
    parts = [frames for (_, _, frames), _ in saved]
    unsaved = []
    last_saved = time.monotonic()
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
            if folder and time.monotonic() - last_saved > CHECKPOINT_SECONDS:
                parts.append(_joined(unsaved))
                unsaved = []
                checkpoint.write(
                    _checkpoint(Path(folder), len(parts) - 1),
                    fingerprint,
                    (progress.states, progress.energies, parts[-1]),
                    {name: getattr(progress, name) for name in ("done", "grown", "rebuild")},
                )
                last_saved = time.monotonic()
            bar.update(FRAMES_PER_CHUNK)
            bar.set_postfix_str(
                f"step {progress.done * FRAMES_PER_CHUNK * steps}, "
                f"energy {progress.energies.mean():.5g} kJ/mol"
            )
    shape = (replicas * wanted, start.n_sites, 3)
    joined = {
        name: array[:, :wanted].reshape(shape) for name, array in _joined(parts + unsaved).items()
    }
    return SiteTrajectory(
        time=np.tile(np.arange(wanted) * frame_spacing, replicas),
        masses=start.masses,
        topology=start.topology,
        box=start.box,
        **joined,
    )


def _checkpoint(folder: Path, number: int) -> Path:
    return folder / f"part-{number:04d}.msgpack"


def _sound_checkpoints(folder: Path, fingerprint: str, template: Any) -> list[tuple[Any, dict]]:
    """What the checkpoints up to the first unusable one hold."""
    found = []
    while one := checkpoint.read(_checkpoint(folder, len(found)), fingerprint, template):
        found.append(one)
    return found


def _joined(parts: list[dict]) -> dict[str, np.ndarray]:
    """Frames (replicas, F, N, 3) of all parts, one after the other."""
    return {name: np.concatenate([part[name] for part in parts], 1) for name in parts[0]}


def _fingerprint(model: Model, positions: jax.Array, *settings) -> str:
    """Of all that decides the course of the run, the code included."""
    form = asdict(model.form)
    gamma, mass = (np.asarray(value).tolist() for value in (model.gamma, model.mass))
    numbers = [model.kind, gamma, model.alpha, mass, model.kT, model.time_step]
    digest = hashlib.sha256(json.dumps([form, numbers, settings], sort_keys=True).encode())
    for array in [*jax.tree.leaves(model.parameters), positions]:
        digest.update(np.ascontiguousarray(array))
    for file in closure(["dynmatch.simulation.run"]):
        digest.update(file.read_bytes())
    return digest.hexdigest()
