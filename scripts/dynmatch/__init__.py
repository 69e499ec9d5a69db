"""Dynamics matching: coarse-grained molecular models trained adversarially on trajectories.

    import dynmatch

    trajectory = dynmatch.read("results/laptop/water/projected.h5")
    trained = dynmatch.train(trajectory, dynamics="ld", temperature=300.0)
    run = dynmatch.simulate(trained.model, trajectory, length=100.0, frame_spacing=0.1)

These names import what they need when they are first used (JAX, for one, is slow to).
"""

import importlib
import os

__version__ = "0.2.0"

_HOMES = {
    "read": "dynmatch.sites.trajectory",
    "train": "dynmatch.training.train",
    "simulate": "dynmatch.api",
    "load_model": "dynmatch.api",
    "PotentialSettings": "dynmatch.settings",
    "MoleculePotentialSettings": "dynmatch.settings",
    "TrainingSettings": "dynmatch.settings",
}
__all__ = list(_HOMES)


# pandas and PyTables bring NumExpr, which does not get over its import where one is no number, as
# "4,2" is none, a right value of OpenMP's
for _name in ("NUMEXPR_MAX_THREADS", "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS"):
    if not os.environ.get(_name, "1").isdecimal():
        del os.environ[_name]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'dynmatch' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
