"""What a job reads of a system's `training` section: a change of the rest reruns nothing of it.

A key that is not named here takes its default in the job; `tests/training/test_reads.py` compares
the names with what is read.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.settings import TrainingSettings

OWN = {*DYNAMICS, "threads"}
"""Keys that do not decide the course of every training."""
COMMON = tuple(each.name for each in fields(TrainingSettings) if each.name not in OWN)
MOVED = ("bd.time_step", "ld.time_step")
"""By the dynamics that baselines are given."""
STRUCTURE = ("roughness", *MOVED)
BASELINES = {
    "fm": STRUCTURE,
    "rem": (*STRUCTURE, "lags", "start"),
    "static": (*COMMON, "ld", *MOVED),
}
"""Dotted keys of the section `training`, by method."""
FITTING = {"fm": ("updates", "rates")}
"""Keys of the section `baselines` that a method is fitted with."""


def of_model(training: Mapping[str, Any], dynamics: str) -> dict[str, Any]:
    """Of the section `training`, what a model that moves by `dynamics` is trained with."""
    return _only(training, (*COMMON, dynamics))


def of_baseline(training: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Of the section `training`, what the potential of a baseline is fitted with."""
    return _only(training, BASELINES[method])


def of_fitting(baselines: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Of the section `baselines`, what a baseline is fitted and moved with."""
    return _only(baselines, (*FITTING.get(method, ()), "thermostat"))


def _only(section: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key in keys:
        first, _, rest = key.partition(".")
        if first not in section:
            continue
        if not rest:
            kept[first] = section[first]
        elif first not in keys:
            kept[first] = kept.get(first, {}) | _only(section[first], (rest,))
    return kept
