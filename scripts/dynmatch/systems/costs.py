"""About how long the jobs of a system take, in seconds of one core, within a factor of two or so.

Rates are those of a core of an AMD EPYC on which `LOOP` additions of Python take `LOOP_SECONDS`;
`slowness` compares the machine at hand with it.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

from dynmatch.settings import TrainingSettings

Section = Mapping[str, Any]
LOOP, LOOP_SECONDS = 2_000_000, 0.16
ALL_ATOM_RATE, PROJECTION_RATE = 0.3e6, 0.22e6
"""Atom-steps of a simulation with all atoms, and atoms of frames that are projected, a second."""
TRAINING_RATE, VALIDATION_RATE, CLASSIFIER_RATE = 0.25e6, 0.35e6, 20e3
"""Of water: atom-steps a second of a training and of a simulation, and sites of the reference's
windows a second in a training."""
STRUCTURE_RATE = 3.5e3
"""Sites of replicas a second in an update of the structural start."""
OBSERVED_RATE = 1e6
"""Sites of frames a second whose observables are computed."""
COMPILATION, START, SHORT = 15.0, 2.0, 3.0
"""s: of the programs of a training or a simulation; until observables begin; of a figure."""
WATER_NEIGHBOURS = 12.7
"""Within the range of water's three-body term."""


def near(system: Section, density: float | None) -> float:
    """Cost of a site's forces and features over that of water's; 1 without neighbours.

    density  of sites, 1/nm^3
    """
    reach = system["potential"].get("three_body_cutoff")
    if reach is None or density is None:
        return 1.0
    return 4 / 3 * math.pi * reach**3 * density / WATER_NEIGHBOURS


def of_reference(reference: Section, atoms: int) -> float:
    """Of a simulation with all atoms, all replicas."""
    length = reference["length"] + reference["equilibration"]
    return reference["replicas"] * length / reference["time_step"] * atoms / ALL_ATOM_RATE


def of_projection(reference: Section, atoms: int) -> float:
    """Of the frames of all replicas."""
    frames = reference["replicas"] * reference["length"] / reference["frame_spacing"]
    return START + frames * atoms / PROJECTION_RATE


def of_training(system: Section, dynamics: str, sites: int, density: float | None) -> float:
    """Of one training with so many sites in a window, compilation apart."""
    training = TrainingSettings.of(system["training"]).of_dynamics(dynamics)
    time_step = getattr(training, dynamics).time_step
    window = sum(training.lags) + training.smoothing
    each = near(system, density) * sites
    moved = training.windows * window / time_step * each / TRAINING_RATE
    judged = training.aa_windows * each / CLASSIFIER_RATE
    started = training.start.updates * training.start.replicas * each / STRUCTURE_RATE
    return started + training.updates * (moved + judged)


def of_validation(system: Section, time_step: float, sites: int, density: float | None) -> float:
    """Of the run of one trained model, compilation apart."""
    validation = system["validation"]
    length = validation["length"] + validation["equilibration"]
    steps = validation["replicas"] * validation["copies"] ** 3 * length / time_step
    return steps * sites * near(system, density) / VALIDATION_RATE


def of_observables(system: Section, sites: int) -> float:
    """Of the run of one model."""
    validation = system["validation"]
    frames = validation["replicas"] * validation["length"] / validation["frame_spacing"]
    return START + frames * sites * validation["copies"] ** 3 / OBSERVED_RATE


def slowness() -> float:
    """Time that a loop of Python takes here and now, beside other work, over `LOOP_SECONDS`; 1 at
    least: simulations also wait for memory and for each other's threads, and a processor that was
    fast at Python by a factor of two was slower at them."""
    began, total = time.perf_counter(), 0
    for number in range(LOOP):
        total += number
    return max(1.0, (time.perf_counter() - began) / LOOP_SECONDS)
