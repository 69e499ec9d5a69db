"""JAX set up for one job: device, threads, and a cache of compiled programs that jobs share."""

import ctypes
import gc
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from dynmatch.errors import DynmatchError

CACHE = ".cache/jax"
"""In the working folder; `KEPT` overrides it."""
KEPT = "JAX_COMPILATION_CACHE_DIR"
"""Of all variables JAX_... of the environment, the one that jobs follow."""
DECISIVE = {
    "enable_x64": False,
    "default_prng_impl": "threefry2x32",
    "threefry_partitionable": True,
    "default_matmul_precision": None,
    "numpy_dtype_promotion": "standard",
    "numpy_rank_promotion": "allow",
    "disable_jit": False,
    "debug_nans": False,
    "debug_infs": False,
}
"""What numbers depend on, JAX's defaults; each is a function in `jax` that sets it for a block."""
OFFSET = "jax_random_seed_offset"
"""Another one, without such a function; 0."""
FLAGS = "--xla_cpu_multi_thread_eigen=false"
"""XLA's: devices share one thread pool, and operations cut up over it wait for those of the others:
two replicas on two devices take 1.2 times as long."""

logger = logging.getLogger(__name__)


def configure(device: str, threads: int) -> None:
    """To be called before the first computation of a process.

    device  "cpu" or "gpu"
    threads CPU threads that XLA may use, and the number of devices that a CPU counts as; with
            one, results are the same bit for bit at every run

    Variables of the environment that would change numbers are taken out of it, with a warning; on
    a GPU, where results are not the same bit for bit anyway, XLA_FLAGS stays.

    Raises DynmatchError when a GPU is asked for and JAX finds none.
    """
    unused = [name for name in os.environ if name.startswith("JAX_") and name != KEPT]
    for name in unused:
        del os.environ[name]
    given = os.environ.get("XLA_FLAGS", "")
    if device == "cpu" and given.replace(FLAGS, "").strip():
        unused.append("XLA_FLAGS")
    if unused:
        logger.warning("not used, as they may change results: %s", ", ".join(sorted(unused)))
    os.environ["XLA_FLAGS"] = FLAGS if device == "cpu" else f"{given} {FLAGS}".strip()
    # the size of XLA's thread pool on the CPU
    os.environ["NPROC"] = str(threads)
    # XLA warns, in 2 kB a program, about tuning hints of its own that a cached program records
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["JAX_PLATFORMS"] = {"cpu": "cpu", "gpu": "cuda"}[device]

    import jax

    # it may have been imported, and have read its variables, before
    for name, value in DECISIVE.items():
        jax.config.update(f"jax_{name}", value)
    jax.config.update(OFFSET, 0)
    cache = os.environ.get(KEPT, str(Path(CACHE).resolve()))
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


@contextmanager
def decided() -> Iterator[None]:
    """`DECISIVE` while the block (or the function that this decorates) runs, whatever holds
    outside: for processes of others, which `configure` does not set up."""
    import jax

    with ExitStack() as stack:
        for name, value in DECISIVE.items():
            stack.enter_context(getattr(jax, name)(value))
        stack.callback(jax.config.update, OFFSET, getattr(jax.config, OFFSET))
        jax.config.update(OFFSET, 0)
        yield


def record() -> dict[str, Any]:
    """What numbers depend on, beside versions: for the record of a model."""
    return {**DECISIVE, "xla_flags": os.environ.get("XLA_FLAGS", "")}


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
