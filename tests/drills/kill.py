"""SIGKILL at random moments, and a comparison with a run that nobody touched: `make drill-kill`.

The smoke preset runs once from beginning to end; then again, in another folder, where a whole
snakemake with all its processes is killed in the midst of AA production, training and validation,
unlocked, and started again, until it was killed 20 times. If the chain ends before, it begins again
in a third folder, and so on. What matters is compared bit for bit.

Checkpoints of the validation are written every two seconds here, so that runs as short as these
have several; those of the training come every five updates.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import tables

ROOT = Path(__file__).parents[2]
WORKFLOW = ["Snakefile", "config.yaml", "presets", "profiles", "rules", "schemas", "scripts"]
WORKFLOW += ["envs", "report"]
KILLS_PER_STAGE = 2
"""In a round: after more of them a stage would be over, and the chain would run to its end."""
STAGES = ("reference", "training", "validation")
# a run that is slowed down by others must not end by its minutes
OVERLAY = """
models: [ld]
systems:
  water:
    reference: {segment: 2.5}
    training: {minutes: 1000.0, updates: 6}
    validation: {length: 200.0}
"""


def copy_workflow(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in WORKFLOW:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "drill.yaml").write_text(OVERLAY)
    path = folder / "scripts" / "dynmatch" / "storage" / "checkpoint.py"
    text, changed = re.subn(r"^SECONDS = .*", "SECONDS = 2.0", path.read_text(), flags=re.M)
    assert changed == 1
    path.write_text(text)


def start(folder: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    command += ["--configfile", "config.yaml", "presets/smoke.yaml", "drill.yaml"]
    with open(folder / "snakemake.log", "a") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)


def run(folder: Path, *options: str) -> None:
    if start(folder, *options).wait() != 0:
        sys.exit(f"snakemake failed, see {folder / 'snakemake.log'}")


def running(folder: Path, stage: str) -> bool:
    """Whether the script of a stage runs in `folder`."""
    scripts = f"{folder}/.snakemake/scripts/"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = process.joinpath("cmdline").read_text().split("\0")
        except OSError:
            continue
        if any(word.startswith(scripts) and word.endswith(f".{stage}.py") for word in command):
            return True
    return False


def continued(folder: Path) -> list[str]:
    """What the logs of the jobs say about going on."""
    found = []
    for path in sorted((folder / "results" / "smoke" / "logs").rglob("*.log")):
        for line in path.read_text().splitlines():
            if "continu" in line:
                found.append(f"{path.stem}: {line.partition('INFO ')[2]}")
    return found


def kill_in(folder: Path, stage: str, within: float, chance: random.Random) -> str | None:
    """Start the chain and kill it some time, up to `within` s, after a stage has begun.

    Returns what it had continued from, or None when the chain had ended before.
    """
    process = start(folder)
    while not running(folder, stage):
        if process.poll() is not None:
            return None
        time.sleep(0.05)
    time.sleep(chance.uniform(0, within))
    if process.poll() is not None:
        return None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    told = "; ".join(continued(folder)) or "nothing to continue from yet"
    run(folder, "--unlock")
    return told


def arrays(path: Path) -> dict[str, np.ndarray]:
    with tables.open_file(str(path)) as file:
        return {node._v_name: node.read() for node in file.iter_nodes("/", "Array")}


def timeless(table: pd.DataFrame) -> pd.DataFrame:
    """Without the minutes that a training took, in history.csv."""
    return table.drop(columns="minutes", errors="ignore")


def compare(one: Path, other: Path) -> int:
    """Exit with a message where the two differ; the number of files that were compared."""
    results = [folder / "results" / "smoke" for folder in (one, other)]
    count = 0
    for path in sorted(results[0].rglob("*")):
        name = path.relative_to(results[0])
        twin = results[1] / name
        if path.suffix == ".h5":
            first, second = arrays(path), arrays(twin)
            same = first.keys() == second.keys() and all(
                np.array_equal(first[key], second[key]) for key in first
            )
        elif path.suffix == ".npz":
            first, second = np.load(path), np.load(twin)
            same = first.files == second.files and all(
                np.array_equal(first[key], second[key]) for key in first.files
            )
        elif path.suffix == ".csv":
            first, second = (timeless(pd.read_csv(each)) for each in (path, twin))
            same = first.equals(second)
        else:
            continue
        if not same:
            sys.exit(f"{name} is not the same")
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for the runs; an unbroken one is used again")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)

    unbroken = (options.folder / "unbroken").resolve()
    if not (unbroken / "results" / "smoke" / "summary.csv").exists():
        copy_workflow(unbroken)
        run(unbroken)
    benchmarks = unbroken / "results" / "smoke" / "benchmarks"
    seconds = {
        stage: max(pd.read_csv(path, sep="\t").s.max() for path in (benchmarks / stage).iterdir())
        for stage in STAGES
    }
    kills = Counter()
    rounds = 0
    while kills.total() < options.kills:
        rounds += 1
        folder = (options.folder / f"killed-{rounds}").resolve()
        copy_workflow(folder)
        for stage in STAGES:
            for _ in range(KILLS_PER_STAGE):
                if kills.total() == options.kills:
                    break
                told = kill_in(folder, stage, 0.5 * seconds[stage], chance)
                if told is None:
                    break
                kills[stage] += 1
                print(f"{kills.total()}: killed in {stage}; it had told: {told}", flush=True)
        run(folder)
        count = compare(unbroken, folder)
        print(f"round {rounds}: {count} files of arrays and tables are the same bit for bit")
    print(f"killed {dict(kills)}, in {rounds} rounds")


if __name__ == "__main__":
    main()
