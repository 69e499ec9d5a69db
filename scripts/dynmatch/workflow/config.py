"""The config of a run: completed with the schema's defaults, and checked before anything runs."""

import difflib
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from dynmatch.errors import DynmatchError
from dynmatch.units import AMU_PER_NM3

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "config.schema.yaml"

BASELINE_METHODS = ("fm", "rem", "static")
BASELINE_DYNAMICS = ("ld_thermostat", "ld_einstein", "bd_einstein")

WATER_MASS = 18.01528
"""Mass of a water molecule, amu."""


def complete(config: Mapping) -> dict:
    """The config with the default of every key it leaves out, and no systems but those to run.

    Raises DynmatchError, with one line for each key that is unknown, missing, of the wrong type,
    out of its range, or at odds with another key.
    """
    schema = _schema()
    validator = _Validator(schema)
    completed = _fill(config, schema, validator)
    problems = [
        line for error in validator.iter_errors(completed) for line in _explain(error, schema)
    ]
    if not problems:
        problems += _unknown_names(completed)
        completed["systems"] = _to_run(completed)
        for name, system in completed["systems"].items():
            problems += [f"systems.{name}.{problem}" for problem in _conflicts(system)]
    if problems:
        raise DynmatchError("\n".join(f"config: {line}" for line in dict.fromkeys(problems)))
    return completed


def models_of(config: Mapping, name: str) -> list[str]:
    """Equations of motion that are trained on a system of the (complete) config."""
    system = config["systems"][name]
    return [system["reference"]["dynamics"]] if system["kind"] == "known" else config["models"]


def baselines_of(config: Mapping, name: str) -> list[str]:
    """Baseline models of a system of the (complete) config: method and dynamics, joined by _."""
    baselines = config["systems"][name].get("baselines", {"methods": [], "dynamics": []})
    return [
        f"{method}_{dynamics}"
        for method in baselines["methods"]
        for dynamics in baselines["dynamics"]
    ]


def seeds_of(config: Mapping, name: str, model: str) -> list[int]:
    """Seeds of a model of a system of the (complete) config."""
    if model not in baselines_of(config, name):
        return config["seeds"]
    return config["systems"][name]["baselines"]["seeds"] or config["seeds"]


def mapping_of(system: Mapping) -> str | list[dict]:
    """What the sites of a completed `system` are, for the record of its models."""
    if system["kind"] != "trajectory":
        return "one site per molecule or input site, at its centre of mass"
    return system["reference"]["sites"] or "one site per residue, at its centre of mass"


def check_gpu(config: Mapping) -> None:
    """Raise DynmatchError where the (complete) `config` asks for a GPU and none is here."""
    if Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi"):
        return
    if config["device"] == "gpu":
        raise DynmatchError(
            "config: device is gpu, but this machine has no NVIDIA GPU; set it to cpu"
        )
    for name, system in config["systems"].items():
        if system["reference"].get("platform") == "CUDA":
            raise DynmatchError(
                f"config: systems.{name}.reference.platform is CUDA, but this machine has no "
                "NVIDIA GPU; set it to CPU"
            )


def check_writable(folder: str | Path) -> None:
    """Raise DynmatchError, naming what is in the way, where `folder` cannot be written to."""
    folder = Path(folder)
    nearest = next(path for path in [folder, *folder.absolute().parents] if os.path.exists(path))
    if not nearest.is_dir():
        raise DynmatchError(f"{folder}: {nearest} is a file where a folder for results is needed")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise DynmatchError(f"{folder}: no permission to write results in {nearest}")


def box_edge(system: Mapping) -> float:
    """Edge of the cubic box, nm, of a system of the (complete) config; infinity where the config
    does not tell it."""
    reference = system["reference"]
    if system["kind"] == "trajectory":
        return math.inf
    if system["kind"] == "known":
        return (reference["sites"] / reference["density"]) ** (1 / 3)
    mass = reference["molecules"] * WATER_MASS
    return (mass * AMU_PER_NM3 / reference["density"]) ** (1 / 3)


@cache
def _schema() -> dict:
    return yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))


def _finite(checker, value) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _finite),
)


def _resolve(subschema: Mapping, schema: Mapping) -> Mapping:
    """The definition that `subschema` refers to, or itself."""
    if "$ref" not in subschema:
        return subschema
    return schema["$defs"][subschema["$ref"].removeprefix("#/$defs/")]


def _fill(value, subschema: Mapping, validator):
    """A copy of `value` with defaults filled in and each number of the type its schema names."""
    subschema = _resolve(subschema, validator.schema)
    if "if" in subschema:
        holds = validator.evolve(schema=subschema["if"]).is_valid(value)
        return _fill(value, subschema["then" if holds else "else"], validator)
    if isinstance(value, Mapping):
        known = {
            key: _resolve(below, validator.schema)
            for key, below in subschema.get("properties", {}).items()
        }
        defaults = {key: below["default"] for key, below in known.items() if "default" in below}
        others = subschema.get("additionalProperties") or {}
        return {
            key: _fill(below, known.get(key, others), validator)
            for key, below in (defaults | dict(value)).items()
        }
    if isinstance(value, list):
        return [_fill(item, subschema.get("items", {}), validator) for item in value]
    if validator.is_type(value, "number"):
        if subschema.get("type") == "number":
            return float(value)
        if subschema.get("type") == "integer" and value == int(value):
            return int(value)
    return value


def _explain(error: ValidationError, schema: Mapping) -> Iterator[str]:
    """What is wrong and what would be right, one line for each key concerned."""
    path = _join(error.absolute_path)
    value, rule = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in [key for key in value if key not in known]:
            close = difflib.get_close_matches(str(key), known, n=1)
            guess = f"did you mean {close[0]}? " if close else ""
            full = _join([*error.absolute_path, key])
            yield f"{full} is unknown; {guess}known here: {_list(known)}"
        return
    if error.validator == "required":
        for key in [key for key in rule if key not in value]:
            about = _resolve(error.schema["properties"][key], schema)["description"]
            yield f"{_join([*error.absolute_path, key])} is missing; give {about}"
        return
    if "propertyNames" in error.absolute_schema_path:
        taken = error.validator == "not"
        right = "any but " + _list(rule["enum"]) if taken else "of letters, digits, _ and -"
        yield f"{path}.{value} cannot be the name of a system; take one {right}"
        return
    about = error.schema.get("description")
    yield f"{path} {_expectation(error)}" + (f" ({about})" if about else "")


_TYPES = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
}


def _expectation(error: ValidationError) -> str:
    value, rule = error.instance, error.validator_value
    match error.validator:
        case "type":
            kinds = [rule] if isinstance(rule, str) else rule
            wanted = " or ".join(_TYPES[kind] for kind in kinds)
            return f"is {_show(value)}; it must be {wanted}{_number_hint(value, rule)}"
        case "enum":
            close = difflib.get_close_matches(str(value), map(str, rule), n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            return f"is {_show(value)}; it must be one of {_list(rule)}{guess}"
        case "minimum":
            return f"is {value}; it must be at least {rule}"
        case "exclusiveMinimum":
            return f"is {value}; it must be greater than {rule}"
        case "maximum":
            return f"is {value}; it must be at most {rule}"
        case "exclusiveMaximum":
            return f"is {value}; it must be less than {rule}"
        case "minItems" | "minLength" | "minProperties":
            return f"is empty; it needs at least {rule} entry"
        case "uniqueItems":
            return f"is {value}; no entry may come twice"
        case "pattern":
            return f"is {_show(value)}; it must be letters, digits, '.', '_' and '-'"
    return error.message


def _number_hint(value, wanted: str) -> str:
    """YAML 1.1 takes 1e-3 for text: say how to write it."""
    if wanted == "number" and isinstance(value, str):
        try:
            return f", written as {float(value)!r}"
        except ValueError:
            pass
    return ""


def _show(value) -> str:
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f"the text '{value}'"
    return str(value)


def _list(values) -> str:
    return ", ".join(map(str, values))


def _join(path) -> str:
    """A key path as a person writes it: systems.water.training.lags[0]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".") or "the config"


def _to_run(config: Mapping) -> dict[str, dict]:
    wanted = config["only"] or config["systems"]
    return {name: system for name, system in config["systems"].items() if name in wanted}


def _unknown_names(config: Mapping) -> list[str]:
    known = _list(config["systems"])
    return [
        f"only[{i}] is {_show(name)}; it must be one of {known}"
        for i, name in enumerate(config["only"])
        if name not in config["systems"]
    ]


def _conflicts(system: Mapping) -> Iterator[str]:
    """Keys of one system that contradict each other, relative to the system's own path."""
    if system["kind"] != "molecule":
        yield from _too_far(system)
        yield from _too_few_frames(system)
    yield from _too_long(system)
    yield from _too_short(system)
    yield from _off_grid(system)
    yield from _impossible(system)


def _too_far(system: Mapping) -> Iterator[str]:
    """Distances that the box does not hold."""
    half = box_edge(system) / 2
    distances = {
        "reference.cutoff": system["reference"].get("cutoff", 0.0),
        "potential.cutoff": system["potential"]["cutoff"],
        "observables.shell_cutoff": system["observables"]["shell_cutoff"],
    }
    for key, distance in distances.items():
        if distance > half:
            yield (
                f"{key} is {distance:g} nm, beyond half the box; take at most {_floor(half)} nm, "
                "or a larger box by more molecules or sites"
            )
    potential = system["potential"]
    if potential["three_body_cutoff"] > potential["cutoff"]:
        yield (
            f"potential.three_body_cutoff is {potential['three_body_cutoff']:g} nm; it must be at "
            f"most potential.cutoff, {potential['cutoff']:g} nm"
        )


def _floor(length: float) -> float:
    return math.floor(length * 1000) / 1000


def _too_long(system: Mapping) -> Iterator[str]:
    """Times longer than one replica of the trajectories they are taken from."""
    reference = system["reference"].get("length", math.inf)
    validation = system["validation"]["length"]
    window = sum(system["training"]["lags"]) + system["training"]["smoothing"]
    # two windows to train on, and one to measure with
    if 3 * window > reference:
        yield (
            f"training.lags and smoothing add up to a window of {window:g} ps, longer than a "
            f"third of the reference; take shorter ones, or at least {3 * window:g} ps as "
            "reference.length"
        )
    name = "reference.length" if reference <= validation else "validation.length"
    for key in _LENGTHS:
        for path, lag in _times(system, f"observables.{key}"):
            if lag >= min(reference, validation):
                yield (
                    f"{path} is {lag:g} ps; it must be less than {name}, "
                    f"{min(reference, validation):g} ps"
                )


_LENGTHS = (
    "structure_spacing",
    "vacf_length",
    "msd_length",
    "van_hove_lags",
    "correlation_length",
    "timescale_lag",
)
"""Observables' times that lie within a replica."""
BROWNIAN_STEPS = 20
"""Steps that a lag has at least: a lag of n Leimkuhler-Matthews steps moves a free site by
6 D0 (n - 1/2) dt only."""


def _too_few_frames(system: Mapping) -> Iterator[str]:
    """Lengths of observables that hold too few frames for what is made of them."""
    longest = max(system["reference"].get("length", 0.0), system["validation"]["length"])
    msd_length = system["observables"]["msd_length"]
    if msd_length < longest / 10:
        yield (
            f"observables.msd_length is {msd_length:g} ps; D is fitted up to a tenth of a replica, "
            f"so that it must be at least {longest / 10:g} ps"
        )
    for key in _FRAMES:
        ((_, spacing),) = _times(system, key)
        if system["observables"]["vacf_length"] < spacing:
            yield (
                f"observables.vacf_length is {system['observables']['vacf_length']:g} ps; it must "
                f"be at least {key}, {spacing:g} ps"
            )


def _too_short(system: Mapping) -> Iterator[str]:
    """Lags of the training that hold too few steps."""
    shortest = BROWNIAN_STEPS * system["training"]["bd"]["time_step"]
    for path, lag in _times(system, "training.lags"):
        if lag < shortest * (1 - 1e-6):
            yield (
                f"{path} is {lag:g} ps; it must be at least {BROWNIAN_STEPS} times "
                f"training.bd.time_step, {shortest:g} ps"
            )


_FRAMES = ("reference.frame_spacing", "validation.frame_spacing")
_TRAINING_STEPS = ("training.bd.time_step", "training.ld.time_step")
_COUNTED_IN = {
    "reference.frame_spacing": ("reference.time_step",),
    "reference.segment": ("reference.frame_spacing",),
    "reference.length": ("reference.frame_spacing",),
    "training.lags": ("reference.frame_spacing", *_TRAINING_STEPS),
    "training.smoothing": ("reference.frame_spacing", *_TRAINING_STEPS),
    "validation.frame_spacing": _TRAINING_STEPS,
    "validation.length": ("validation.frame_spacing",),
    "observables.structure_spacing": _FRAMES,
    "observables.van_hove_lags": _FRAMES,
    "observables.timescale_lag": _FRAMES,
}
"""Times, and the steps of which each must be a whole number."""


def _off_grid(system: Mapping) -> Iterator[str]:
    """Times that are not a whole number of the steps they are counted in."""
    for key, steps in _COUNTED_IN.items():
        for path, time in _times(system, key):
            for step_key, step in (pair for each in steps for pair in _times(system, each)):
                nearest = max(round(time / step), 1) * step
                if abs(time - nearest) > 1e-6 * step:
                    yield (
                        f"{path} is {time:g} ps; it must be a multiple of {step_key}, {step:g} ps "
                        f"(nearest: {nearest:g} ps)"
                    )


def _impossible(system: Mapping) -> Iterator[str]:
    """What a trajectory of the user's own has no data for, and what a molecule does not need."""
    if system["kind"] == "molecule":
        if system["training"]["start"]["updates"]:
            yield (
                "training.start.updates must be 0 for a molecule, which starts from the free "
                "energy of its torsions"
            )
        return
    if system["kind"] == "trajectory" and "fm" in system["baselines"]["methods"]:
        yield (
            "baselines.methods has fm, force matching, and trajectory files have no forces that "
            "MDTraj reads; take it out"
        )


def _times(system: Mapping, key: str) -> list[tuple[str, float]]:
    """The value at a dotted key, or each one of a list there, with its path; [] where absent."""
    value = system
    for part in key.split("."):
        value = value.get(part, {})
    if isinstance(value, list):
        return [(f"{key}[{i}]", item) for i, item in enumerate(value)]
    return [(key, value)] if value else []
