"""A config to start from, with numbers that follow from what the files hold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dynmatch.settings import TrainingSettings
from dynmatch.sites.box import heights, volume
from dynmatch.systems import costs
from dynmatch.systems.trajectory.survey import Survey

FASTEST = {"bd": 0.005, "ld": 0.01}
"""Longest time steps, ps, that serve for water."""
BEYOND = 3.0
"""Least lag over the time from which motion is diffusion."""
OWN_SIZE = 1.25
"""Root mean squared displacement in a lag over the distance of the first maximum of g(r): 9 ps in
water. After a seventh of that time, liquid ethane diffuses already, and a model that is right then
is 6 % too slow in the long run."""
LONGEST_CUTOFF = 1.2
"""nm"""
SITES_OF_WINDOWS = 512
"""In all windows of an update, as in water: their noise is as small."""


def values(found: Survey) -> dict[str, Any]:
    """The sections potential, training, validation and observables, as far as they are not the
    defaults."""
    trajectory = found.trajectory
    spacing = trajectory.frame_spacing
    half = 0.5 * float(np.min(heights(trajectory.box)))
    first = [minima[0] for minima in found.minima.values() if minima]
    second = [minima[1] for minima in found.minima.values() if len(minima) > 1]
    shell = min(max(first, default=0.35), half)
    cutoff = _down(min(max([*second, 1.6 * shell]), half, LONGEST_CUTOFF), 0.01)
    steps = {name: _step(spacing, longest) for name, longest in FASTEST.items()}
    grid = max(spacing, *steps.values())
    lag, smoothing = _window(found, grid)
    shortest = min(found.runs)
    compared = shortest if len(found.runs) > 1 else shortest / 3
    length = _multiple(min(2000.0, shortest), grid)
    longest_lag = _multiple(0.45 * min(compared, length), grid)
    k = 2 * math.pi / found.spacing
    van_hove = sorted({_multiple(x, grid) for x in (lag / 10, lag / 2, 2 * lag)})
    return {
        "potential": {
            "cutoff": cutoff,
            "three_body_cutoff": _down(min(1.3 * shell, cutoff), 0.01),
            "hidden": [],
        },
        "training": {
            "lags": [lag],
            "smoothing": smoothing,
            "updates": 60,
            "windows": min(8, max(2, math.ceil(SITES_OF_WINDOWS / trajectory.n_sites))),
            **{name: {"time_step": step} for name, step in steps.items()},
        },
        "validation": {
            "replicas": 2,
            "length": length,
            "equilibration": _multiple(20.0, grid),
            "frame_spacing": grid,
        },
        "observables": {
            "structure_spacing": _multiple(1.0, grid),
            "shell_cutoff": _down(min(shell, half), 0.01),
            "vacf_length": max(1.0, _multiple(5 * grid, grid)),
            "msd_length": longest_lag,
            "scattering_k": [round(x * k, 1) for x in (0.36, 0.71, 1.07)],
            "van_hove_lags": [x for x in van_hove if x < min(compared, length)],
        },
    }


def minutes(found: Survey, system: Mapping[str, Any], dynamics: str) -> tuple[float, float]:
    """Minutes of one training and one validation on one core, within a factor of two or so."""
    sites = found.trajectory.n_sites
    density = sites / volume(found.trajectory.box)
    time_step = getattr(TrainingSettings.of(system["training"]), dynamics).time_step
    training = costs.of_training(system, dynamics, sites, density)
    return training / 60, costs.of_validation(system, time_step, sites, density) / 60


def gigabytes(found: Survey, system: Mapping[str, Any]) -> tuple[float, float]:
    """Memory of a job, and of the files of the reference and of one model: positions and velocities
    in single precision."""
    validation, sites = system["validation"], found.trajectory.n_sites * 24e-9
    frames = validation["replicas"] * validation["length"] / validation["frame_spacing"]
    made = sites * frames * validation["copies"] ** 3
    # what is larger than 256 MB lies on disk; a training has its programs
    return 1.5 + min(3 * made, 1.0), found.trajectory.n_frames * sites + made


def windows_held(found: Survey, system: Mapping[str, Any]) -> float:
    """How many windows of the training follow one another in the reference."""
    training = system["training"]
    return sum(found.runs) / (sum(training["lags"]) + training["smoothing"])


def _step(spacing: float, longest: float) -> float:
    """The longest time step up to `longest` (ps) of which the frame spacing is a multiple, or which
    is a multiple of it."""
    if spacing <= longest:
        return float(f"{spacing * math.floor(longest / spacing * (1 + 1e-9)):.6g}")
    return float(f"{spacing / math.ceil(spacing / longest * (1 - 1e-9)):.6g}")


def _window(found: Survey, grid: float) -> tuple[float, float]:
    """Lag and smoothing, ps: a lag in which sites leave their places, and of which the runs hold
    thirty at least."""
    moved = (OWN_SIZE * found.spacing) ** 2 / (6 * found.diffusion)
    wanted = max(moved, BEYOND * (found.lag or 0.0))
    lag = _multiple(float(f"{min(wanted, min(found.runs) / 30):.2g}"), grid)
    smoothing = lag / 9
    return lag, _multiple(smoothing, grid) if smoothing >= 2 * grid else 0.0


def _multiple(time: float, grid: float) -> float:
    return float(f"{max(1, round(time / grid)) * grid:.6g}")


def _down(length: float, grid: float) -> float:
    return float(f"{math.floor(length / grid * (1 + 1e-9)) * grid:.6g}")
