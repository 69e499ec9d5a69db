"""The smoke preset on a Slurm of one node, where it is installed; `make test-slurm` does that."""

import os
import re
import subprocess
import sys

import pytest

from tests.helpers.rule_files import ROOT

SLURM = ROOT / "tests" / "slurm"


@pytest.mark.workflow
def test_the_smoke_preset_through_the_profiles_for_clusters():
    if subprocess.run([SLURM / "one_node.sh", "installed"]).returncode:
        pytest.skip("Slurm is not installed")
    call = subprocess.run(
        [SLURM / "run.sh", "check_smoke.py"],
        env=os.environ | {"PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if skipped := re.search(r"^skipped: (.*)", call.stdout, flags=re.MULTILINE):
        pytest.skip(skipped[1])
    assert call.returncode == 0, call.stdout[-5000:]
    assert "4 passed" in call.stdout
