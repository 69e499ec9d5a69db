"""Two cores as two devices against one: replicas of a simulation, windows of a training."""

import numpy as np

from benchmarks import cg_simulation, update
from benchmarks.timing import Row, Worker, alternate, row
from benchmarks.water import Water

GOAL = 1.7


def compare(water: Water) -> list[Row]:
    start = water.trajectory.frames(slice(0, 1))
    with (
        Worker(update.update, water, 1, cores=2) as two,
        Worker(update.update, water, 1, cores=1) as one,
    ):
        updates = alternate({"two": two, "one": one})
    with (
        Worker(cg_simulation.ours, water.model, start, 2, cores=2) as two,
        Worker(cg_simulation.ours, water.model, start, 2, cores=1) as one,
    ):
        runs = alternate({"two": two, "one": one})
    return [
        _row("training update, two devices", update.size_of(water, 1), updates, "s"),
        _row(
            "CG simulation, two devices", f"{start.n_sites} sites, 2 replicas", runs, "atom-steps/s"
        ),
    ]


def _row(task: str, size: str, measured: dict[str, np.ndarray], unit: str) -> Row:
    return row(
        task,
        size,
        2,
        measured["two"],
        measured["one"],
        "dynmatch, one device",
        unit,
        GOAL,
        more_is_better=unit != "s",
    )
