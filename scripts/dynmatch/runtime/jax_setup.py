"""JAX set up for one job: device, threads, and a cache of compiled programs that jobs share."""

import ctypes
import gc
import os
from pathlib import Path

from dynmatch.errors import DynmatchError

CACHE = ".cache/jax"
"""In the working folder; JAX_COMPILATION_CACHE_DIR overrides it."""
DECISIVE = {
    "jax_enable_x64": False,
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_default_matmul_precision": None,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_disable_jit": False,
    "jax_debug_nans": False,
    "jax_debug_infs": False,
}
"""What numbers depend on, JAX's defaults: variables JAX_... of the environment do not reach it."""


def configure(device: str, threads: int) -> None:
    """To be called before the first computation of a process.

    device  "cpu" or "gpu"
    threads CPU threads that XLA may use, and the number of devices that a CPU counts as; with
            one, results are the same bit for bit at every run

    Raises DynmatchError when a GPU is asked for and JAX finds none.
    """
    # devices share one thread pool, and operations cut up over it wait for those of the others:
    # two replicas on two devices take 1.2 times as long
    flag = "--xla_cpu_multi_thread_eigen=false"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    # the size of XLA's thread pool on the CPU
    os.environ["NPROC"] = str(threads)
    # XLA warns, in 2 kB a program, about tuning hints of its own that a cached program records
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "gpu": "cuda"}[device]

    import jax

    for name, value in DECISIVE.items():
        jax.config.update(name, value)
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(Path(CACHE).resolve()))
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    if device == "cpu":
        jax.config.update("jax_num_cpu_devices", threads)
    try:
        jax.devices()
    except RuntimeError as error:
        raise DynmatchError(
            "device: gpu, but JAX finds no GPU here; set device: cpu, or install the cuda extra"
        ) from error


def release_memory() -> None:
    """Give back what compiling took: XLA's arenas, some 400 MB, stay with the process otherwise."""
    import jax

    jax.clear_caches()
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except OSError:
        # not glibc: nothing to trim
        pass
