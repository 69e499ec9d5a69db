"""Worker processes: order of results, progress, and what happens when one fails or is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.runtime.processes import in_turns, report, side_by_side, stay_on_this_core
from tests.helpers.rule_files import ROOT


def square(number: int, pause: float) -> int:
    time.sleep(pause)
    report(number)
    return number**2


def cores() -> set[int]:
    stay_on_this_core()
    return os.sched_getaffinity(0)


def fail() -> None:
    raise DynmatchError("this one fails")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_long(path: Path) -> None:
    path.write_text(str(os.getpid()))
    time.sleep(600)


def quiet_bar(total: int) -> tqdm:
    return tqdm(total=total, disable=None)


def process_of(path: Path) -> int:
    """The process that wrote its number to a file, once it has."""
    while not (path.exists() and path.read_text()):
        time.sleep(0.01)
    return int(path.read_text())


def ends(process: int) -> bool:
    """Whether a process is gone within five seconds."""
    for _ in range(500):
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or ") Z " in status.read_text():
            return True
        time.sleep(0.01)
    return False


def test_results_come_in_the_order_of_the_arguments_and_move_the_bar():
    arguments = [(3, 0.3), (1, 0.0), (2, 0.1), (5, 0.0)]
    with tqdm(total=11) as bar:
        assert list(side_by_side(square, arguments, 2, bar)) == [9, 1, 4, 25]
        assert bar.n == 11


def note(path: Path, name: str) -> None:
    time.sleep(0.1)
    with path.open("a") as file:
        file.write(f"{name}\n")
    report()


def test_chains_take_turns_and_each_is_in_its_order(tmp_path):
    chains = [[(tmp_path / "log", f"{c}{n}") for n in range(4)] for c in "abc"]
    with tqdm(total=12) as bar:
        in_turns(note, chains, 2, bar)
        assert bar.n == 12
    done = (tmp_path / "log").read_text().split()
    for chain in "abc":
        assert [name for name in done if name[0] == chain] == [f"{chain}{n}" for n in range(4)]
    # no chain is left for the end, when one worker would be idle
    assert max(done.index(f"{chain}0") for chain in "abc") < min(
        done.index(f"{chain}3") for chain in "abc"
    )


def test_no_tasks_need_no_workers():
    assert list(side_by_side(fail, [], 2, quiet_bar(0))) == []


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores are bound on Linux only")
def test_a_worker_stays_on_one_core():
    (bound,) = side_by_side(cores, [()], 1, quiet_bar(0))
    assert len(bound) == 1
    assert bound <= os.sched_getaffinity(0)


def test_one_failure_ends_the_others(tmp_path):
    started = time.monotonic()
    tasks = side_by_side(_long_or_failing, [(tmp_path / "pid",), (None,)], 2, quiet_bar(0))
    with pytest.raises(DynmatchError, match="this one fails"):
        list(tasks)
    assert time.monotonic() - started < 60
    assert ends(process_of(tmp_path / "pid"))


def _long_or_failing(path: Path | None) -> None:
    if path is not None:
        sleep_long(path)
    time.sleep(2)
    fail()


def test_a_killed_worker_is_reported():
    with pytest.raises(DynmatchError, match=r"killed from outside.*memory"):
        list(side_by_side(die, [()], 2, quiet_bar(0)))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, end):
    code = (
        "from tests.runtime.test_workers import *;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "list(side_by_side(sleep_long, [(Path(sys.argv[1]),)], 1, quiet_bar(0)))"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "pid")],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'scripts'}"},
        stderr=subprocess.DEVNULL,
    )
    worker = process_of(tmp_path / "pid")
    parent.send_signal(end)
    assert parent.wait(timeout=20) != 0
    assert ends(worker)
