"""A job that reaches its time limit, on a real Slurm: `make drill-time-limit`."""

import re
from collections import Counter

import mdtraj
import numpy as np

from tests.slurm.cluster import jobs, snakemake

REFERENCE = "results/smoke/water/reference"


FRAMES = 10_000
LENGTHS = """
systems:
  water:
    reference: {replicas: 2, equilibration: 2.0, length: 200.0, segment: 4.0, threads: 1}
    training: {lags: [1.0]}
"""


def test_retry_continues_after_the_last_segment(tmp_path):
    """The all-atom run needs several minutes and is given one at a time, the least Slurm knows."""
    overlay = tmp_path / "long.yaml"
    overlay.write_text(LENGTHS)
    options = ["--set-resources", "reference:runtime=1", "--retries", "20"]
    options += ["--slurm-init-seconds-before-status-checks", "2"]
    target = f"{REFERENCE}/trajectory.h5"
    call = snakemake(tmp_path, "slurm", *options, "--", target, overlays=[overlay])
    assert call.returncode == 0, call.stdout[-5000:]
    states = Counter(jobs().state)
    assert states["TIMEOUT"] >= 1
    assert states["COMPLETED"] == 1
    log = (tmp_path / "results/smoke/logs/reference/water.log").read_text()
    continued = [int(n) for n in re.findall(r"replica \d continues after (\d+) of 50", log)]
    assert sum(continued) > 0
    trajectory = mdtraj.load(tmp_path / target)
    np.testing.assert_allclose(trajectory.time, np.tile(0.02 * np.arange(FRAMES), 2), rtol=1e-6)
    print(f"\n{states}; the last job continued after {continued} of 50 segments")
