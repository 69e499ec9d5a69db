"""What stands in the environment of a process does not reach the numbers that it computes."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.rule_files import ROOT

COMPUTE = """
import sys
from dynmatch.runtime.jax_setup import configure
configure("cpu", 1)
import jax, jax.numpy as jnp, numpy as np
key = jax.random.PRNGKey(2147483647)
start = jax.random.normal(key, (40, 3))
shuffled = jax.random.permutation(jax.random.fold_in(key, 7), 40)

@jax.jit
def walk(x, keys):
    def step(x, key):
        force = -jnp.sin(x) @ jnp.full((3, 3), 1 / 3)
        return x + 0.1 * force + 0.3 * jax.random.normal(key, x.shape), jnp.sum(x)
    return jax.lax.scan(step, x, keys)

end, sums = walk(start, jax.random.split(key, 50))
np.savez(sys.argv[1], start=start, shuffled=shuffled, end=end, sums=sums)
"""
HOSTILE = {
    "JAX": {
        "JAX_ENABLE_X64": "1",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_RANDOM_SEED_OFFSET": "1",
        "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_DEBUG_NANS": "1",
        "JAX_DISABLE_JIT": "1",
    },
    "Python and place": {
        "PYTHONOPTIMIZE": "2",
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "tr_TR.UTF-8",
        "OMP_NUM_THREADS": "7",
        "PYTHONHASHSEED": "3",
    },
}


def computed(folder, more: dict[str, str]) -> dict[str, np.ndarray]:
    inherited = {n: x for n, x in os.environ.items() if not n.startswith(("JAX_", "XLA_"))}
    environment = inherited | {"PYTHONPATH": str(ROOT / "scripts")} | more
    file = folder / "numbers.npz"
    command = [sys.executable, "-c", COMPUTE, str(file)]
    subprocess.run(command, check=True, cwd=folder, env=environment)
    return dict(np.load(file))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return computed(tmp_path_factory.mktemp("plain"), {})


@pytest.mark.parametrize("more", HOSTILE.values(), ids=HOSTILE)
def test_the_environment_does_not_change_a_bit(plain, more, tmp_path):
    found = computed(tmp_path, more)
    for name, values in plain.items():
        assert values.dtype == found[name].dtype
        np.testing.assert_array_equal(values, found[name])
