"""`dynmatch check`: what a config and its files are good for, before anything runs."""

import argparse
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from dynmatch.errors import DynmatchError, told

FEW = 100
"""Windows that a reference should hold."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", nargs="+", type=Path, help="each laid over the one before")


def run(arguments: argparse.Namespace) -> None:
    from dynmatch.systems.trajectory.survey import described, survey
    from dynmatch.workflow.config import complete, models_of

    config = complete(reduce(laid_over, map(_read, arguments.configs)))
    for name, system in config["systems"].items():
        print(f"{name}: kind {system['kind']}, keys agree with one another")
        # only files of the user's own are there before a run
        if system["kind"] == "trajectory":
            found = survey(system["reference"], system["temperature"], f"systems.{name}.reference")
            for line in [*described(found), *estimates(found, system, models_of(config, name))]:
                print(f"  {line}")


def estimates(found, system: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    """How many windows there are, and about how long models take, and how much memory."""
    from dynmatch.systems.trajectory import proposal

    held = proposal.windows_held(found, system)
    lines = [f"windows of the training in the runs: {held:.0f}"]
    if held < FEW:
        lines[0] += f"; fewer than {FEW}, so D will be known badly: longer runs, or shorter lags"
    for model in models:
        trained, validated = proposal.minutes(found, system, model)
        lines.append(
            f"{model}: about {trained:.2g} minutes of training on one core, {validated:.2g} of "
            "validation"
        )
    memory, disk = proposal.gigabytes(found, system)
    return [*lines, f"memory: about {memory:.2g} GB a job; disk: {disk:.2g} GB for each model"]


def laid_over(below: Any, above: Any) -> Any:
    """Two configs as Snakemake merges them: mappings key by key, all else replaced."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {**below, **{k: laid_over(below.get(k), v) for k, v in above.items()}}
    return above


def _read(path: Path) -> dict:
    import yaml

    from dynmatch.workflow.config import require_unique_keys

    try:
        require_unique_keys(path)
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise DynmatchError(f"{path}: no config: {told(error)}") from error
    if not isinstance(config, dict):
        raise DynmatchError(f"{path}: no config: it has no keys")
    return config
