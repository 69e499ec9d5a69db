"""What the workflow costs beside its rules, and what importing and compiling cost."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import ROOT, update
from benchmarks.timing import REPETITIONS, Row, Worker, named, row, seconds
from benchmarks.water import Water

GOAL = 1 / 1.1
"""An overhead of at most 10 %."""
SHARE = 30.0
"""Of a run's job time that may go to other rules than all-atom simulation and validation, %."""
NEEDED = re.compile(r"(^|/)(reference|validation)\b")
"""Names of their benchmark files."""
BEGINNING = 5.0
"""Seconds that importing and compiling may take."""


def compare(water: Water, run: Path) -> list[Row]:
    imported = imports()
    compiled = compilation(water)
    both = imported.ours + compiled.peer
    peer = np.array(BEGINNING)
    return [
        *overhead(run),
        others(run),
        imported,
        compiled,
        row("import and compilation", "training, LD", 1, np.array(both), peer, "limit", "s", 1.0),
    ]


def others(run: Path) -> Row:
    """The share of other rules than all-atom simulation and validation in the time of the jobs."""
    jobs = _job_times(run / "benchmarks")
    needed = sum(time for name, time in jobs.items() if NEEDED.search(name))
    share = 100 * (1 - needed / sum(jobs.values()))
    size, peer = f"{len(jobs)} jobs", np.array(SHARE)
    task = "rules but reference and validation, default preset"
    return row(task, size, 2, np.array(share), peer, "limit", "%", 1.0)


def overhead(run: Path) -> list[Row]:
    """Wall time of the smoke preset on one core less the time of its jobs, which it has in common
    with the default run, on top of the times of the jobs of the default run in `run`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--directory", folder]
        command += ["--snakefile", ROOT / "Snakefile", "--configfile", ROOT / "config.yaml"]
        command += [ROOT / "presets" / "smoke.yaml"]
        environment = os.environ | {
            "PYTHONPATH": "",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        }

        def whole():
            subprocess.run(command, check=True, capture_output=True, env=environment)

        wall = seconds(whole)
        smoke = _job_times(folder / "results" / "smoke" / "benchmarks")
    default = _job_times(run / "benchmarks")
    beside = wall - sum(smoke.values())
    names = smoke.keys() & default.keys()
    rows = [_overhead("smoke", len(smoke), sum(smoke.values()), beside, np.nan)]
    if len(names) == len(smoke):
        own = sum(default[name] for name in names)
        rows.append(_overhead("default", len(names), own, beside, GOAL))
    else:
        print(f"skipped: overhead of the default run; {run / 'benchmarks'} lacks some of its jobs")
    return rows


def _overhead(preset: str, jobs: int, own: float, beside: float, goal: float) -> Row:
    return row(
        f"whole workflow, {preset} preset",
        f"{jobs} jobs",
        1,
        own + beside,
        own,
        f"its jobs' own times, {named('snakemake')}",
        "s",
        goal,
    )


def _job_times(folder: Path) -> dict[str, float]:
    """Seconds of each job, by the name of its benchmark file."""
    files = folder.rglob("*.tsv")
    return {str(f.relative_to(folder)): pd.read_csv(f, sep="\t").s.sum() for f in files}


def imports() -> Row:
    """Seconds of a process that imports what a training needs, against one that imports JAX."""

    def process(module):
        command = [sys.executable, "-c", f"import {module}"]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
        return seconds(lambda: subprocess.run(command, check=True, env=environment))

    times = np.array(
        [[process(name) for name in ("dynmatch.training.train", "jax")] for _ in range(REPETITIONS)]
    )
    return row("import", "training", 1, times[:, 0], times[:, 1], f"{named('jax')} alone", "s")


def compilation(water: Water) -> Row:
    """Seconds by which the first update takes longer than the second, programs read from the
    persistent cache against programs compiled."""
    before = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    longer = {}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = cache
        for name in ("compiled", "cached"):
            with Worker(update.update, water, 1) as worker:
                longer[name] = worker() - worker()
    if before is None:
        del os.environ["JAX_COMPILATION_CACHE_DIR"]
    else:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = before
    return row(
        "compilation",
        "training, LD",
        1,
        longer["cached"],
        longer["compiled"],
        "without the persistent cache",
        "s",
    )
