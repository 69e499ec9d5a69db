"""The config of a run: completed with the schema's defaults, and checked before anything runs."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from dynmatch.errors import DynmatchError
from dynmatch.systems.base import baselines_of
from dynmatch.systems.registry import card_of
from dynmatch.workflow.conflicts import conflicts
from dynmatch.workflow.messages import explain, listed, shown
from dynmatch.workflow.schema import Validator, filled, schema

DEEPEST, MOST = 20, 100_000
"""Levels of a config, and values in it."""


def complete(config: Mapping) -> dict:
    """The config with the default of every key it leaves out, and no systems but those to run.

    Raises DynmatchError, with one line for each key that is unknown, missing, of the wrong type,
    out of its range, or at odds with another key.
    """
    _require_finite(config)
    validator = Validator(schema())
    completed = filled(config, schema(), validator)
    problems = [
        line for error in validator.iter_errors(completed) for line in explain(error, schema())
    ]
    if not problems:
        problems += _unknown_names(completed)
        completed["systems"] = _to_run(completed)
        for name, system in completed["systems"].items():
            try:
                system = completed["systems"][name] = card_of(system["kind"]).found(system)
                found = list(conflicts(system, completed["models"]))
            except DynmatchError as error:
                found = [str(error)]
            problems += [f"systems.{name}.{problem}" for problem in found]
    if problems:
        raise DynmatchError("\n".join(f"config: {line}" for line in dict.fromkeys(problems)))
    return completed


def retyped(config: Mapping, given: Mapping) -> dict:
    """`config` with the numbers and truth values in lists and mappings of `given`, which came by
    --config: Snakemake leaves them text."""
    lists = {key: value for key, value in given.items() if not isinstance(value, str)}
    return _retyped(config, lists)


def require_unique_keys(path: str | Path) -> None:
    """Raise DynmatchError, naming file, line and key, where a mapping of the YAML file `path` has a
    key twice: the last one would win, unseen."""
    waiting, seen = [yaml.compose(Path(path).read_text(encoding="utf-8"))], set()
    while waiting:
        node = waiting.pop()
        # what is referred to twice is looked at once
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        keys = set()
        for key, value in node.value:
            if str(key.value) in keys:
                raise DynmatchError(
                    f"{path}: line {key.start_mark.line + 1}: {key.value!r} comes twice in its "
                    "section; keep one of them"
                )
            keys.add(str(key.value))
            waiting.append(value)


def models_of(config: Mapping, name: str) -> list[str]:
    """Equations of motion that are trained on a system of the (complete) config."""
    system = config["systems"][name]
    return card_of(system["kind"]).dynamics(system, config["models"])


def seeds_of(config: Mapping, name: str, model: str) -> list[int]:
    """Seeds of a model of a system of the (complete) config."""
    system = config["systems"][name]
    if model not in baselines_of(system):
        return config["seeds"]
    return system["baselines"]["seeds"] or config["seeds"]


def check_writable(folder: str | Path) -> None:
    """Raise DynmatchError, naming what is in the way, where `folder` cannot be written to."""
    folder = Path(folder)
    nearest = next(path for path in [folder, *folder.absolute().parents] if os.path.exists(path))
    if not nearest.is_dir():
        raise DynmatchError(f"{folder}: {nearest} is a file where a folder for results is needed")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise DynmatchError(f"{folder}: no permission to write results in {nearest}")


def _require_finite(config: Mapping) -> None:
    """Raise DynmatchError where parts of a config hold themselves, by anchors of YAML, or stand for
    more values than fit into memory."""
    waiting, count = [(config, ())], 0
    while waiting:
        value, path = waiting.pop()
        count += 1
        if len(path) > DEEPEST or count > MOST:
            too = (
                f"nested more than {DEEPEST} deep" if len(path) > DEEPEST else f"over {MOST} values"
            )
            raise DynmatchError(
                f"config: {'.'.join(map(str, path[:2])) or 'it'} is {too}; look for references (*)"
            )
        if isinstance(value, Mapping):
            waiting += [(below, (*path, key)) for key, below in value.items()]
        elif isinstance(value, list):
            waiting += [(below, (*path, place)) for place, below in enumerate(value)]


def _to_run(config: Mapping) -> dict[str, dict]:
    wanted = config["only"] or config["systems"]
    return {name: system for name, system in config["systems"].items() if name in wanted}


def _unknown_names(config: Mapping) -> list[str]:
    known = listed(config["systems"])
    return [
        f"only[{i}] is {shown(name)}; it must be one of {known}"
        for i, name in enumerate(config["only"])
        if name not in config["systems"]
    ]


def _retyped(here, given):
    if isinstance(here, Mapping) and isinstance(given, Mapping):
        return dict(here) | {
            key: _retyped(here[key], value) for key, value in given.items() if key in here
        }
    return _typed(given) if here == given else here


def _typed(value):
    if isinstance(value, list):
        return [_typed(each) for each in value]
    if not isinstance(value, str):
        return value
    read = yaml.safe_load(value) if re.fullmatch(r"[\w.+-]+", value) else value
    return read if read is None or isinstance(read, bool | int | float) else value
