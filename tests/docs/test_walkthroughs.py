"""The walk-throughs from LAMMPS and GROMACS: each command as it stands, but for shorter runs."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from dynmatch.sites import trajectory
from tests.docs.test_docs import blocks, clone  # noqa: F401
from tests.helpers.rule_files import ROOT

SHORT = {"lmp": " -var steps 25000 -screen none", "simulate.py": " 50"}
"""What makes 50 ps of 600: the rest of the commands that make files."""
MODEL = 30.07


def run(command: str, folder) -> str:
    environment = {**os.environ, "PYTHONPATH": "scripts", "OPENMM_CPU_THREADS": "1"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(("page", "name"), [("lammps", "ethane"), ("gromacs", "ethane_gromacs")])
def test_from_files_to_sites(page, name, clone):  # noqa: F811
    """What the page shows is what `new` prints, as far as it does not depend on the runs' length;
    sites have the velocities of their temperature, and forces that sum up to nothing."""
    make_files, make_config, make_run = (
        line
        for block in blocks(f"docs/how-to/{page}.md", "sh")
        for line in block.splitlines()
        if "ethane" in line
    )
    (more,) = (words for program, words in SHORT.items() if program in make_files)
    run(make_files + more, clone)
    words = re.match(r'make new FILES="(.*)"', make_config)[1]
    told = run(f"{shlex.quote(sys.executable)} -m dynmatch new {words}", clone)
    shown = (
        (ROOT / f"docs/how-to/{page}.md").read_text().partition("\natoms:")[2].partition("```")[0]
    )
    for line in ("atoms:" + shown).splitlines():
        if not re.match("runs|D:|minima|motion|windows|bd|ld|memory", line):
            assert line in told.splitlines(), line
    python = f"{shlex.quote(sys.executable)} -m "
    snakemake = make_run.replace(".venv/bin/", python).replace("--cores 2", "--cores 1")
    run(f"{snakemake} -- results/{name}/{name}/projected.h5", clone)
    run(f"{snakemake} --dry-run --quiet", clone)
    sites = trajectory.read(clone / f"results/{name}/{name}/projected.h5")
    np.testing.assert_allclose(sites.masses, MODEL)
    kinetic = MODEL * np.mean(np.sum(sites.velocities**2, -1)) / (3 * 0.00831446 * 180.0)
    # 108 molecules, some fifty velocity times: 2 %
    assert kinetic == pytest.approx(1.0, abs=0.08)
    np.testing.assert_allclose(sites.forces.sum(1), 0.0, atol=0.5)
