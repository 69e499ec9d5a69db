"""Profiles of schedulers that are not to be had here, and stand-ins that answer as manuals say.

They run a job at once in the background, and remember what became of it.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.rule_files import ROOT

SNAKEFILE = """
rule made:
    output: "made.txt"
    threads: 2
    resources: mem_mb=500, runtime=7, gpu=0
    shell: "echo {threads} > {output}"

rule broken:
    output: "broken.txt"
    resources: mem_mb=500, runtime=7, gpu=0
    shell: "exit 3"
"""
RUN = """printf '%s ' "$@" >> {calls}
for script; do :; done
"$script" > {calls}.out 2>&1; echo $? > {calls}.code
"""
STAND_INS = {
    "lsf": {
        "bsub": RUN + 'echo "Job <17> is submitted to default queue <normal>."',
        "bjobs": "test $(cat {calls}.code) = 0 && echo DONE || echo EXIT",
    },
    "pbs": {
        "qsub": RUN + "echo 17.server",
        "qstat": 'echo "    job_state = F"; echo "    Exit_status = $(cat {calls}.code)"',
    },
}
ASKED = {
    "lsf": "-n 2 -R span[hosts=1] -M 500 -W 7 -o /dev/null",
    "pbs": "-j oe -o /dev/null -l select=1:ncpus=2:mem=500mb:ngpus=0 -l walltime=420",
}


@pytest.fixture
def submit(tmp_path, monkeypatch):
    """A function of a scheduler and targets, which are made one at a time: the output of the run,
    and what was asked for."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)

    def run(scheduler: str, *targets: str) -> tuple[subprocess.CompletedProcess, str]:
        calls, programs = tmp_path / "calls", tmp_path / "bin"
        programs.mkdir()
        for name, text in STAND_INS[scheduler].items():
            (programs / name).write_text("#!/bin/sh\n" + text.replace("{calls}", str(calls)) + "\n")
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        profile = Path(ROOT / "profiles" / scheduler)
        command = [sys.executable, "-m", "snakemake", "--workflow-profile", profile]
        command += ["--latency-wait", "2", "--retries", "0", "--jobs", "1"]
        command += ["--keep-going", *targets]
        done = subprocess.run(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done, calls.read_text() if calls.exists() else ""

    return run


@pytest.mark.parametrize("scheduler", STAND_INS)
def test_a_job_is_submitted_with_what_it_needs_and_how_it_ended_is_seen(
    submit, scheduler, tmp_path
):
    """One that ends well and one that does not, in one run."""
    done, asked = submit(scheduler, "made.txt", "broken.txt")
    assert (tmp_path / "made.txt").read_text() == "2\n"
    assert ASKED[scheduler] in asked
    assert done.returncode != 0
    assert "Error in rule broken" in done.stdout
    assert "Error in rule made" not in done.stdout
