"""What stands in the environment of a process does not reach the numbers of a training.

A tiny training by `dynmatch train`, with variables that were generated: the model is the same byte
for byte as without, or the command ends in one line.
"""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import dynmatch
from dynmatch.runtime import jax_setup
from dynmatch.sites.trajectory import write
from tests.helpers.fluids import fluid
from tests.helpers.games import lattice_trajectory
from tests.helpers.generated import lenient
from tests.helpers.models import grid, model_of
from tests.helpers.rule_files import ROOT

SETTINGS = """
potential: {cutoff: 0.6, pair_basis: 12, three_body_cutoff: 0.45, radial_channels: 1, degree: 1}
training:
  {lags: [0.5], smoothing: 0.0, updates: 1, windows: 2, aa_windows: 4, start: {updates: 0},
  classifier: {steps: 1, hidden: [4], channels: 2}, bd: {time_step: 0.05}}
"""
HOSTILE = {
    "JAX_ENABLE_X64": ["1", "perhaps"],
    "JAX_DEFAULT_PRNG_IMPL": ["rbg"],
    "JAX_THREEFRY_PARTITIONABLE": ["0"],
    "JAX_RANDOM_SEED_OFFSET": ["1"],
    "JAX_DEFAULT_MATMUL_PRECISION": ["bfloat16"],
    "JAX_NUMPY_DTYPE_PROMOTION": ["strict"],
    "JAX_NUMPY_RANK_PROMOTION": ["raise"],
    "JAX_DEBUG_NANS": ["1"],
    "JAX_DISABLE_JIT": ["1"],
    "JAX_DISABLE_MOST_OPTIMIZATIONS": ["1"],
    "JAX_ENABLE_CUSTOM_PRNG": ["1"],
    "JAX_LEGACY_PRNG_KEY": ["error"],
    "JAX_TRANSFER_GUARD": ["disallow"],
    "JAX_NUM_CPU_DEVICES": ["3"],
    "JAX_PLATFORMS": ["tpu"],
    "XLA_FLAGS": ["--xla_cpu_enable_fast_math=true", "--no_such_flag"],
    "NPROC": ["7"],
    "OMP_NUM_THREADS": ["many", "7", "0", "4,2"],
    "OPENBLAS_NUM_THREADS": ["7", "x"],
    "NUMEXPR_MAX_THREADS": ["x", "7"],
    "PYTHONOPTIMIZE": ["2"],
    "PYTHONHASHSEED": ["3", "0"],
    "PYTHONUTF8": ["0"],
    "PYTHONCOERCECLOCALE": ["0"],
    "PYTHONIOENCODING": ["ascii"],
    "LC_ALL": ["tr_TR.UTF-8", "C", "no_SUCH"],
    "TZ": ["Pacific/Kiritimati", "nowhere"],
    "HOME": ["/nonexistent"],
    "TMPDIR": ["/nonexistent"],
    "COLUMNS": ["1"],
    "HDF5_USE_FILE_LOCKING": ["FALSE"],
    "MPLBACKEND": ["nonsense"],
}
"""Values of the environment, the worst first."""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A folder, not of ASCII alone, with a trajectory, settings, and a Turkish locale."""
    folder = tmp_path_factory.mktemp("große")
    write(folder / "sites.h5", lattice_trajectory(600))
    (folder / "settings.yaml").write_text(SETTINGS)
    locale = ["localedef", "-i", "tr_TR", "-f", "UTF-8", folder / "tr_TR.UTF-8"]
    subprocess.run(locale, check=True)
    return folder


def call(files: Path, more: dict[str, str], *command: str) -> subprocess.CompletedProcess:
    """Run Python in a clean environment and `more` of it."""
    inherited = {n: x for n, x in os.environ.items() if not n.startswith(("JAX_", "XLA_"))}
    kept = {name: os.environ[name] for name in [jax_setup.KEPT]}
    known = inherited | kept | {"PYTHONPATH": str(ROOT / "scripts"), "LOCPATH": str(files)}
    return subprocess.run(
        [sys.executable, *command], cwd=files, env=known | more, capture_output=True, text=True
    )


def train(files: Path, folder: str, more: dict[str, str]) -> subprocess.CompletedProcess:
    options = ["--dynamics", "bd", "--temperature", "300", "--settings", "settings.yaml"]
    return call(files, more, "-m", "dynmatch", "train", "sites.h5", folder, *options)


@pytest.fixture(scope="module")
def plain(files) -> list[bytes]:
    made = train(files, "plain", {})
    assert made.returncode == 0, made.stderr
    return model_in(files / "plain")


def model_in(folder: Path) -> list[bytes]:
    return [(folder / f"model.{suffix}").read_bytes() for suffix in ("yaml", "npz")]


def generated():
    each = {name: st.sampled_from(values) for name, values in HOSTILE.items()}
    return st.lists(st.sampled_from(sorted(each)), min_size=1, max_size=6, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: each[name] for name in names})
    )


@lenient(1)
@given(generated())
@example({name: values[0] for name, values in HOSTILE.items()})
def test_the_environment_does_not_change_a_byte(files, plain, more):
    made = train(files, "other", more)
    if made.returncode:
        assert "Traceback" not in made.stderr, made.stderr
        *_, line = made.stderr.strip().splitlines()
        assert any(name in line for name in more), made.stderr
    else:
        assert model_in(files / "other") == plain


PYTHON = """
import dynmatch
from pathlib import Path
from dynmatch.cli.train import settings_of
from dynmatch.model_file import save
potential, training = settings_of(Path("settings.yaml"), True)
sites = dynmatch.read("sites.h5")
trained = dynmatch.train(sites, "bd", 300.0, potential, training)
save("python/model.yaml", "python/model.npz", trained.model, sites.topology, {})
"""


def test_a_training_in_python_has_the_numbers_of_the_command(files, plain):
    """Nobody has called `configure` there."""
    hostile = [name for name in HOSTILE if name.removeprefix("JAX_").lower() in jax_setup.DECISIVE]
    more = {name: HOSTILE[name][0] for name in [*hostile, "JAX_RANDOM_SEED_OFFSET"]}
    more |= {"XLA_FLAGS": jax_setup.FLAGS, "NPROC": "1"}
    made = call(files, more, "-c", PYTHON)
    assert made.returncode == 0, made.stderr
    assert model_in(files / "python")[1] == plain[1]


def test_what_a_program_has_set_stays_and_does_not_reach_a_simulation():
    potential = fluid(basis=10, degree=1)
    model = model_of(potential, potential.initialise(jax.random.PRNGKey(1)))
    start = grid(3, 1.25)
    runs = []
    for wide in (False, True):
        with jax.enable_x64(wide), jax.default_prng_impl("rbg" if wide else "threefry2x32"):
            made = dynmatch.simulate(model, start, length=0.05, frame_spacing=0.01, seed=2)
            runs.append(made.positions)
            assert jax.numpy.arange(2.0).dtype == ("float64" if wide else "float32")
    assert runs[0].dtype == runs[1].dtype
    np.testing.assert_array_equal(*runs)
