"""JAX-MD, of which only what is used is imported.

Its `__init__` imports all of it, equivariant networks and rigid bodies included (e3nn, sympy, and
compilations): most of the time in which a job starts. Here the package is entered without running
its `__init__`, and each part is imported when it is first asked for.
"""

import importlib
import sys
from importlib.util import find_spec, module_from_spec


def _part(name: str):
    try:
        return importlib.import_module(f"jax_md.{name}")
    except ModuleNotFoundError as error:
        raise AttributeError(f"module 'jax_md' has no part {name!r}") from error


if "jax_md" not in sys.modules:
    sys.modules["jax_md"] = module_from_spec(find_spec("jax_md"))
    sys.modules["jax_md"].__getattr__ = _part

from jax_md import dataclasses, partition, simulate, space  # noqa: E402

__all__ = ["dataclasses", "partition", "simulate", "space"]
