"""A GPU beside one core of the CPU: python -m benchmarks.gpu [RESULTS FOLDER OF A FINISHED RUN]

Forces against those of the CPU, speed by size and by number of replicas, a training update, its
windows side by side against one after the other, and how busy the device is meanwhile. What comes
first is worth most: no measurement begins when the minutes are used up.
"""

import argparse
import copy
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from benchmarks import ROOT, cg_simulation, report, update
from benchmarks.timing import Row, Worker, alternate, row
from benchmarks.water import Water, make_water, replicated
from dynmatch.model import Model
from dynmatch.settings import TrainingSettings
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites.trajectory import SiteTrajectory

REPLICAS = (8, 64, 512)
"""Of 64 sites, side by side."""
WINDOWS = 32
"""Of an update at 512 sites, as in presets/paper.yaml."""
HOST_CORES = 2
MINUTES = 9.0
REPETITIONS = 2
WATCHED = 20
"""Updates during which it is sampled how busy the device is."""
ACCURACY = 1e-4
"""Difference of forces between devices, relative to their root mean square, that is rounding."""


def forces(model: Model, start: SiteTrajectory):
    """A function that returns the forces (N, 3) on `start`, kJ/mol/nm."""
    calculator = Calculator(model, start.box, start.topology)
    return lambda: calculator(start.positions[0])[1]


def kind():
    """A function that returns the name of the device."""
    return lambda: jax.devices()[0].device_kind


class Beside:
    """The `device`, and one core of the CPU beside it."""

    def __init__(self, water: Water, device: str):
        self.water = water
        self.device = device

    def measured(self, *task, on_cpu: bool = False) -> dict[str, np.ndarray]:
        """The measurements of a task on the device and, where asked for, on the CPU."""
        with ExitStack() as stack:

            def worker(device, cores):
                return stack.enter_context(Worker(*task, device=device, cores=cores))

            competitors = {"device": worker(self.device, HOST_CORES)}
            if on_cpu:
                competitors["cpu"] = worker("cpu", 1)
            return alternate(competitors, REPETITIONS)

    def once(self, device: str, *task):
        """What a task returns on a device."""
        with Worker(*task, device=device) as worker:
            return worker()

    def same_forces(self, copies: int) -> Row:
        """Difference of the forces from those of the CPU."""
        start = replicated(self.water.trajectory, copies)
        here, there = (
            np.asarray(self.once(device, forces, self.water.model, start))
            for device in (self.device, "cpu")
        )
        off = np.sqrt(np.mean((here - there) ** 2) / np.mean(there**2))
        size = f"{start.n_sites} sites"
        # the same to the last bit, where the device is the CPU
        off = max(off, np.finfo(np.float32).tiny)
        return row("forces off", size, 1, off, ACCURACY, "rounding", "relative", 1.0)

    def speed(self, copies: int, replicas: int = 1, on_cpu: bool = False) -> Row:
        """Atom-steps per second of a simulation."""
        start = replicated(self.water.trajectory, copies)
        found = self.measured(cg_simulation.ours, self.water.model, start, replicas, on_cpu=on_cpu)
        return row(
            "CG simulation",
            f"{start.n_sites} sites, {replicas} replica(s)",
            1,
            found["device"],
            found.get("cpu", np.nan),
            "one core of the CPU",
            "atom-steps/s",
            more_is_better=True,
        )

    def update(self, copies: int, windows: int, on_cpu: bool = False) -> list[Row]:
        """Time of a training update; alone, also the share of it in which the device is busy."""
        water = with_windows(self.water, windows)
        size = f"{water.trajectory.n_sites * copies**3} sites, {windows} windows"
        task = update.update, water, copies
        found = self.measured(*task, on_cpu=on_cpu)
        times = found["device"], found.get("cpu", np.nan)
        rows = [row("training update, LD", size, 1, *times, "one core of the CPU", "s")]
        if not on_cpu:
            share = self.busy(*task)
            name = "device busy in an update"
            rows.append(row(name, size, 1, share, 100.0, "always", "%", more_is_better=True))
        return rows

    def busy(self, *task) -> float:
        """Mean of nvidia-smi's per cent while a task repeats, NaN where there is none."""
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        with Worker(*task, device=self.device, cores=HOST_CORES) as worker:
            worker()
            try:
                watch = subprocess.Popen(
                    [*command, "-lms", "100"], stdout=subprocess.PIPE, text=True
                )
            except FileNotFoundError:
                return np.nan
            try:
                for _ in range(WATCHED):
                    worker()
            finally:
                watch.terminate()
            samples = [float(each) for each in watch.communicate()[0].split() if each.isdigit()]
        return float(np.mean(samples)) if samples else np.nan

    def side_by_side(self, windows: int) -> Row:
        """Windows of an update side by side against one after the other."""
        water = with_windows(self.water, windows)
        together, alone = (
            self.measured(update.forward, water, 1, chunk)["device"] for chunk in (windows, 1)
        )
        size = f"{water.trajectory.n_sites} sites, {windows} windows"
        return row("roll-out of windows", size, 1, together, alone, "one after the other", "s")


def with_windows(water: Water, windows: int) -> Water:
    """`water` whose Langevin training has that many windows an update."""
    system = copy.deepcopy(water.system)
    system["training"]["windows"] = windows
    system["training"]["ld"].pop("windows", None)
    return replace(water, system=system)


def tasks(beside: Beside, dry: bool) -> Iterator[Callable[[], list[Row]]]:
    """The measurements, in the order of what they are worth; the smallest alone in a dry run."""
    usual = TrainingSettings.of(beside.water.system["training"]).of_dynamics("ld").windows
    yield lambda: [beside.same_forces(1)]
    yield lambda: [beside.speed(1)]
    if dry:
        return
    yield lambda: [beside.same_forces(4)]
    yield lambda: [beside.speed(4)]
    yield lambda: beside.update(2, WINDOWS)
    yield lambda: [beside.speed(8)]
    yield lambda: [beside.speed(1, REPLICAS[1])]
    yield lambda: [beside.speed(12)]
    yield lambda: [beside.speed(2, on_cpu=True)]
    yield lambda: beside.update(1, usual)
    for replicas in REPLICAS[::2]:
        yield lambda replicas=replicas: [beside.speed(1, replicas)]
    yield lambda: [beside.side_by_side(usual)]
    yield lambda: beside.update(1, usual, on_cpu=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, default=ROOT / "results" / "laptop")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--dry", action="store_true", help="the CPU in its place; nothing written")
    arguments = parser.parse_args()
    begun = time.monotonic()
    # the workers share the GPU, and each would take most of its memory
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    jax.config.update("jax_platforms", "cpu")
    beside = Beside(make_water(arguments.run.resolve()), "cpu" if arguments.dry else "gpu")
    device = beside.once(beside.device, kind)
    print(f"{device}; reference ready after {time.monotonic() - begun:.0f} s", flush=True)
    rows, left_out = [], 0
    for task in tasks(beside, arguments.dry):
        if time.monotonic() - begun > 60 * arguments.minutes:
            left_out += 1
            continue
        try:
            new = task()
        except Exception as error:
            # the others took minutes, and are worth having
            print(f"failed: {error!r}", flush=True)
            continue
        rows += new
        print(pd.DataFrame(new).to_string(index=False, header=False), flush=True)
        print(f"{time.monotonic() - begun:.0f} s", flush=True)
        if not arguments.dry:
            table = pd.DataFrame(rows).assign(device=device)
            table.to_csv(ROOT / "benchmarks" / "gpu.csv", index=False, float_format="%.6g")
    if left_out:
        print(f"{left_out} measurements are left out: {arguments.minutes:g} minutes are used up")
    if rows and not arguments.dry:
        report.update_page(ROOT / "docs" / "performance.md", table, report.BEGIN_GPU)


if __name__ == "__main__":
    main()
