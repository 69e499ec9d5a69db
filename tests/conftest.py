"""The order of the tests, and settings of JAX that test modules ask for by name."""

import jax
import pytest


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
def compilation_cache(tmp_path_factory):
    """Where the same programs are compiled again and again, once is enough."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("cache")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    yield
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
