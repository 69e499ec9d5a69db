"""Worker processes for OpenMM on the CPU, each of which stays on one core.

OpenMM's CPU platform hands every time step from thread to thread some sixty times, even where it
computes with one thread. Between two cores, a hand-over takes about as long as the work that it
hands over; and so it does within a core when another core runs threads of the same process. Hence
processes instead of threads, and on one core each.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    Future,
    ProcessPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dynmatch.errors import DynmatchError

REFRESH = 0.5
"""Time between two looks at the progress of the workers, s."""


def side_by_side(
    task: Callable[..., Any], arguments: Iterable[tuple], workers: int, bar: tqdm
) -> Iterator[Any]:
    """Results of task(*each) for each of `arguments`, in their order, from `workers` processes.

    The task, a function of some module, and its arguments are pickled. What it reports by `report`
    moves the `bar`. When a task raises, or the user interrupts, all workers are ended, and what was
    raised is raised here; they also end with this process. Raises DynmatchError for a worker that
    was killed.
    """
    with _pool(workers) as (pool, reported):
        start = bar.n
        waiting = deque(pool.submit(task, *each) for each in arguments)
        while waiting:
            for run in wait(waiting, REFRESH, FIRST_EXCEPTION).done:
                run.result()
            # a result is forgotten here as soon as it is handed on
            while waiting and waiting[0].done():
                yield waiting.popleft().result()
            bar.update(start + reported.value - bar.n)


def in_turns(
    task: Callable[..., Any], chains: Iterable[Iterable[tuple]], workers: int, bar: tqdm
) -> None:
    """Call task(*each) for each of the arguments in each chain, one chain's in their order.

    Otherwise as `side_by_side`. Chains take turns, so that workers that are fewer than chains are
    busy until nearly the end.
    """
    with _pool(workers) as (pool, reported):
        start = bar.n
        running: dict[Future, Iterator[tuple]] = {}

        def go_on(chain: Iterator[tuple]) -> None:
            arguments = next(chain, None)
            if arguments is not None:
                running[pool.submit(task, *arguments)] = chain

        for chain in chains:
            go_on(iter(chain))
        while running:
            for run in wait(running, REFRESH, FIRST_COMPLETED).done:
                run.result()
                go_on(running.pop(run))
            bar.update(start + reported.value - bar.n)


@contextmanager
def _pool(workers: int) -> Iterator[tuple[ProcessPoolExecutor, Synchronized]]:
    """Worker processes, and what they have reported."""
    context = multiprocessing.get_context("spawn")
    reported = context.Value("q", 0)
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(reported,)
    ) as pool:
        try:
            yield pool, reported
        except BrokenProcessPool as error:
            raise DynmatchError(
                "a worker process was killed from outside, as happens when memory runs out; run "
                "it again, with fewer threads or more memory"
            ) from error
        except BaseException:
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def report(count: int = 1) -> None:
    """In a task: move the bar on by `count`."""
    with _reported.get_lock():
        _reported.value += count


def stay_on_this_core() -> None:
    """In a task: bind this thread, and those it starts from now on, to the core it runs on."""
    if hasattr(os, "sched_setaffinity"):
        # proc(5): the 39th field is the processor; the 2nd, in brackets, may hold blanks
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        os.sched_setaffinity(0, {int(fields[36])})


_reported: Synchronized


def _begin(reported: Synchronized) -> None:
    """Prepare a new worker process."""
    global _reported
    _reported = reported
    # Ctrl-C reaches all processes of a terminal: it is for the parent to act on
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
