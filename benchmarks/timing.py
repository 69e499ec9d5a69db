"""Timings of competitors that take turns, each in a process of its own on cores of its own."""

import multiprocessing
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

REPETITIONS = 3


@dataclass(frozen=True)
class Row:
    """One line of results.csv: medians and ranges over the repetitions.

    `ratio` is how many times better ours is than the peer, whatever the unit; `goal` the ratio that
    is aimed at, NaN for none.
    """

    task: str
    size: str
    cores: int
    ours: float
    peer: float
    peer_name: str
    unit: str
    ratio: float
    goal: float
    met: bool | None
    ours_range: float
    peer_range: float
    repetitions: int


def alternate(
    competitors: dict[str, Callable[[], float]], repetitions: int = REPETITIONS
) -> dict[str, np.ndarray]:
    """What each competitor returns, `repetitions` times in turns after one turn to warm up."""
    for measure in competitors.values():
        measure()
    rounds = [[measure() for measure in competitors.values()] for _ in range(repetitions)]
    return dict(zip(competitors, np.array(rounds).T, strict=True))


def row(
    task: str,
    size: str,
    cores: int,
    ours: np.ndarray,
    peer: np.ndarray,
    peer_name: str,
    unit: str,
    goal: float = np.nan,
    more_is_better: bool = False,
) -> Row:
    """The `Row` of repeated measurements of ours and of a peer."""
    ours, peer = np.atleast_1d(ours), np.atleast_1d(peer)
    a, b = float(np.median(ours)), float(np.median(peer))
    ratio = a / b if more_is_better else b / a
    met = None if np.isnan(goal) else bool(ratio >= goal)
    spread = float(np.ptp(ours)), float(np.ptp(peer))
    return Row(task, size, cores, a, b, peer_name, unit, ratio, goal, met, *spread, len(ours))


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def named(*packages: str) -> str:
    """Packages with their versions."""
    return " + ".join(f"{name} {version(name)}" for name in packages)


class Worker:
    """A competitor in a process of its own, bound to the first `cores` cores.

    make(*arguments), a function of some module, is called there once, JAX being set up for the GPU
    or for as many devices as cores; what it returns is called there for each measurement.
    """

    def __init__(
        self,
        make: Callable[..., Callable[[], float]],
        *arguments,
        cores: int = 1,
        device: str = "cpu",
    ):
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, cores, device))
        # inherited from the start: libraries look at it when they are imported
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, first_cores(cores))
        self._process.start()
        os.sched_setaffinity(0, mine)
        there.close()
        self._pipe.send((make, arguments))

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()

    def __call__(self) -> float:
        """One measurement."""
        return self._ask("measure")

    def peak_memory(self) -> float:
        """The largest resident size so far, MB."""
        return self._ask("memory")

    def _ask(self, question: str) -> float:
        self._pipe.send(question)
        answer = self._pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def first_cores(count: int) -> list[int]:
    """Cores that a benchmark on `count` cores uses."""
    return sorted(os.sched_getaffinity(0))[:count]


def _peak_memory() -> float:
    """The largest resident size of this process, MB; `ru_maxrss` would have that of its parent."""
    status = Path("/proc/self/status").read_text()
    return float(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def _serve(pipe, cores: int, device: str) -> None:
    from dynmatch.runtime.jax_setup import configure

    configure(device, cores)
    # only now: arguments with arrays of JAX's start its backend when they arrive
    make, arguments = pipe.recv()
    measure = None
    while True:
        try:
            question = pipe.recv()
        except EOFError:
            return
        try:
            if question == "memory":
                answer = _peak_memory()
            else:
                measure = measure or make(*arguments)
                answer = measure()
        except Exception as error:
            answer = RuntimeError(f"{make.__module__}.{make.__name__}: {error!r}")
        pipe.send(answer)
