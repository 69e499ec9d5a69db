"""Running the workflow on a Slurm that is there, and asking it afterwards what it did."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]


def snakemake(
    folder: Path, profile: str, *options: str, overlays: Sequence[Path] = ()
) -> subprocess.CompletedProcess:
    """Run the smoke preset, with `overlays`, through a profile; its working directory is `folder`.

    The one node has two cores and answers at once, so that it is asked more often.
    """
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", ROOT / "profiles" / profile]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", folder]
    command += ["--configfile", ROOT / "config.yaml", ROOT / "presets" / "smoke.yaml", *overlays]
    command += ["--cores", "2", "--latency-wait", "5", "--seconds-between-status-checks", "1"]
    command += options
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def jobs() -> pd.DataFrame:
    """Every job that Slurm remembers: state, partition, rule (or group) and its GPUs."""
    columns = {"state": "%T", "partition": "%P", "comment": "%k", "gpus": "%b", "limit": "%l"}
    answer = subprocess.run(
        ["squeue", "--states=all", "--noheader", "--format=" + "|".join(columns.values())],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in answer.stdout.splitlines()]
    table = pd.DataFrame(rows, columns=list(columns))
    table["rule"] = table.comment.str.removeprefix("rule_").str.partition("_wildcards_")[0]
    return table
