"""Keys of a system's config that contradict each other, each right by itself."""

import math
from collections.abc import Iterator

from dynmatch.dynamics.registry import DYNAMICS, dynamics_of
from dynmatch.systems.base import Section, baselines_of, values_at
from dynmatch.systems.registry import card_of

LENGTHS = (
    "structure_spacing",
    "vacf_length",
    "msd_length",
    "van_hove_lags",
    "correlation_length",
    "timescale_lag",
)
"""Observables' times that lie within a replica."""
MOST_GB = 2000
"""Of positions and velocities of all replicas."""
MOST_STEPS = 1e12
LEAST_FRAMES = 40
"""Of a replica: D is fitted from a twentieth to a tenth of it."""
FRAMES = ["reference.frame_spacing", "validation.frame_spacing"]


def conflicts(system: Section, models: list[str]) -> Iterator[str]:
    """Contradictions in a system of the completed config, relative to its own path.

    `models` are the dynamics that the run trains.
    """
    card = card_of(system["kind"])
    trained = card.dynamics(system, models)
    moved_by = {*trained, *map(dynamics_of, baselines_of(system))}
    yield from card.conflicts(system)
    moving = [name for name in DYNAMICS if name in moved_by]
    yield from _too_long(system, moving)
    yield from _too_short(system, trained)
    yield from _off_grid(system, moving)
    yield from _too_much(system, card.sites(system) or 1, moving)
    yield from _without_forces(system, card.no_forces)


def key_of(system: Section, name: str, key: str) -> str:
    """The dotted key of a setting of a dynamics' training: in its own section where it has one."""
    return f"training.{name}.{key}" if key in system["training"][name] else f"training.{key}"


def _too_long(system: Section, dynamics: list[str]) -> Iterator[str]:
    """Times longer than one replica of the trajectories they are taken from."""
    reference = system["reference"].get("length", math.inf)
    alone = system["reference"].get("replicas") == 1
    # models are compared with the last replica, or the last third of a single one
    compared = reference / 3 if alone else reference
    validation = system["validation"]["length"]
    windows = [[key_of(system, name, key) for key in ("lags", "smoothing")] for name in dynamics]
    for lags, smoothing in dict.fromkeys(map(tuple, windows)):
        times = [*values_at(system, lags), *values_at(system, smoothing)]
        window = sum(time for _, time in times)
        # two windows to train on, and one to measure with
        if 3 * window > reference:
            yield (
                f"{lags} and smoothing add up to a window of {window:g} ps, longer than a third of "
                f"the reference; take shorter ones, or at least {3 * window:g} ps as "
                "reference.length"
            )
    name = "validation.length"
    if compared <= validation:
        name = "a third of reference.length" if alone else "reference.length"
    for key in LENGTHS:
        for path, lag in values_at(system, f"observables.{key}"):
            if lag >= min(compared, validation):
                yield (
                    f"{path} is {lag:g} ps; it must be less than {name}, "
                    f"{min(compared, validation):g} ps"
                )


def _too_short(system: Section, trained: list[str]) -> Iterator[str]:
    """Lags of the training that hold too few steps of the dynamics that are trained."""
    for name in trained:
        least = DYNAMICS[name].least_steps
        shortest = least * system["training"][name]["time_step"]
        for path, lag in values_at(system, key_of(system, name, "lags")):
            if least > 1 and lag < shortest * (1 - 1e-6):
                yield (
                    f"{path} is {lag:g} ps; it must be at least {least} times "
                    f"training.{name}.time_step, {shortest:g} ps"
                )


def _too_much(system: Section, sites: int, dynamics: list[str]) -> Iterator[str]:
    """Runs of more frames than a file can hold, of fewer than D can be fitted to, or of more steps
    than end in a year."""
    for part in ("reference", "validation"):
        section = system[part]
        if "length" not in section:
            continue
        length, spacing = section["length"], section["frame_spacing"]
        frames = section["replicas"] * section.get("copies", 1) ** 3 * length / spacing
        size = 24e-9 * sites * frames
        if size > MOST_GB:
            yield (
                f"{part}.length is {length:g} ps; with a frame every {spacing:g} ps that is "
                f"{size:.3g} GB, and it must be at most {MOST_GB} GB"
            )
        if length < LEAST_FRAMES * spacing:
            yield (
                f"{part}.length is {length:g} ps; it must be at least {LEAST_FRAMES} times "
                f"{part}.frame_spacing, {LEAST_FRAMES * spacing:g} ps"
            )
        for path in _steps_of(part, dynamics):
            for _, step in values_at(system, path):
                if length / step > MOST_STEPS:
                    yield (
                        f"{path} is {step:g} ps; {part}.length, {length:g} ps, holds "
                        f"{length / step:.2g} of it, and at most {MOST_STEPS:.0e} can be made"
                    )


def _steps_of(part: str, dynamics: list[str]) -> list[str]:
    if part == "reference":
        return ["reference.time_step"]
    return [f"training.{name}.time_step" for name in dynamics]


def _off_grid(system: Section, dynamics: list[str]) -> Iterator[str]:
    """Times that are not a whole number of the steps they are counted in."""
    for key, steps in _counted_in(system, dynamics).items():
        for path, time in values_at(system, key):
            for step_key, step in (pair for each in steps for pair in values_at(system, each)):
                nearest = max(round(time / step), 1) * step
                if abs(time - nearest) > 1e-6 * step:
                    yield (
                        f"{path} is {time:g} ps; it must be a multiple of {step_key}, {step:g} ps "
                        f"(nearest: {nearest:g} ps)"
                    )


def _counted_in(system: Section, dynamics: list[str]) -> dict[str, list[str]]:
    """Times, and the steps of which each must be a whole number, where these move the models."""
    steps = {name: f"training.{name}.time_step" for name in dynamics}
    counted = {
        "reference.frame_spacing": ["reference.time_step"],
        "reference.segment": ["reference.frame_spacing"],
        "reference.length": ["reference.frame_spacing"],
    }
    for key in ("lags", "smoothing"):
        for name in dynamics:
            own = counted.setdefault(key_of(system, name, key), ["reference.frame_spacing"])
            own.append(steps[name])
    return counted | {
        "validation.frame_spacing": list(steps.values()),
        "validation.length": ["validation.frame_spacing"],
        "observables.structure_spacing": FRAMES,
        "observables.van_hove_lags": FRAMES,
        "observables.timescale_lag": FRAMES,
    }


def _without_forces(system: Section, reason: str) -> Iterator[str]:
    """Force matching where the reference has no forces, for this reason."""
    if reason and "fm" in system.get("baselines", {}).get("methods", []):
        yield f"baselines.methods has fm, force matching, and {reason}; take it out"
