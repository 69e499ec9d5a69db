"""The order of the tests, and settings of JAX that test modules ask for by name."""

import os
import resource
import sys
import tempfile
from pathlib import Path

import jax
import pytest

from tests.helpers.memory import limit_memory

CACHE = "JAX_COMPILATION_CACHE_DIR"


def pytest_configure(config):
    """What one test, or a job that it runs, has compiled, no other compiles again."""
    if CACHE not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="compiled-")
        os.environ[CACHE] = folder.name
        jax.config.update("jax_compilation_cache_dir", folder.name)
        config.add_cleanup(folder.cleanup)


LONGEST = (
    "workflow/test_workflow.py",
    "export/test_engines.py",
    "training/test_train.py",
    "systems/test_own_system.py",
    "workflow/test_slurm.py",
    "training/test_recovery.py",
    "systems/test_molecule.py",
    "docs/test_docs.py",
    "export/test_export.py",
    "runtime/test_devices.py",
    "dynamics/test_rollout.py",
    "export/test_export_types.py",
    "plotting/test_figures.py",
    "runtime/test_cuda.py",
    "simulation/test_replicas.py",
    "workflow/test_profiles.py",
    "workflow/test_config_reruns.py",
)
"""Files of tests that take half a minute or more, with whole runs first. That of Slurm waits for
most of its time; it comes when the run before it has compiled what its training needs as well."""


def pytest_collection_modifyitems(items):
    """The longest files first: where files run side by side, none of them must be last."""
    root = Path(__file__).parent
    place = {root / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="module")
def double_precision():
    """64-bit floating point, so that finite differences and invariances hold to many digits."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compilation():
    """Little optimisation by XLA: for small programs, compiling takes longer than running."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def compilation_cache():
    """Small programs too are kept, where the same ones are compiled again and again."""
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    yield
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


@pytest.fixture(scope="module")
def little_memory():
    """4 GB beside what there is: what a file claims to hold is looked at before it is made room."""
    if sys.platform != "linux":
        yield
        return
    before = limit_memory(4 * 1024**3)
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)
