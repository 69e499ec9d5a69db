"""The order of the tests, and settings of JAX that test modules ask for by name."""

import os
import tempfile

import jax
import pytest

CACHE = "JAX_COMPILATION_CACHE_DIR"


def pytest_configure(config):
    """What one test, or a job that it runs, has compiled, no other compiles again."""
    if CACHE not in os.environ:
        folder = tempfile.TemporaryDirectory(prefix="compiled-")
        os.environ[CACHE] = folder.name
        jax.config.update("jax_compilation_cache_dir", folder.name)
        config.add_cleanup(folder.cleanup)


def pytest_collection_modifyitems(items):
    """Files with whole runs first: where files run side by side, the longest must not be last."""
    long = {item.path for item in items if item.get_closest_marker("workflow")}
    items.sort(key=lambda item: item.path not in long)


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
