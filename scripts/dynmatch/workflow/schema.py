"""The schema of the config: what all runs have, and a file for each kind of system."""

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, validators

from dynmatch.systems.registry import SYSTEMS

FOLDER = Path(__file__).resolve().parents[3] / "schemas"
COMMON = "config.schema.yaml"
"""What all runs have, and the sections that several kinds of systems share."""


@cache
def schema() -> dict:
    """The whole schema: `COMMON` with systems/{kind}.yaml of every kind in its definitions."""
    whole = _read(FOLDER / COMMON)
    titles = []
    for kind in SYSTEMS:
        own = _read(FOLDER / "systems" / f"{kind}.yaml")
        titles.append(own.pop("title"))
        # with it, a definition counts as another document, and is not checked by `Validator`
        del own["$schema"]
        whole["$defs"][f"{kind}_system"] = _local(own, whole["$defs"])
    whole["$defs"]["kind"] = {
        "description": "; ".join([*titles[:-1], f"or {titles[-1]}"]),
        "enum": list(SYSTEMS),
    }
    whole["$defs"]["system"] |= _of_its_kind(*SYSTEMS)
    return whole


def _read(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _local(node, definitions: Mapping):
    """A copy in which references to `COMMON` are those of the same document; what stands beside a
    reference is put together with the definition."""
    if isinstance(node, list):
        return [_local(below, definitions) for below in node]
    if not isinstance(node, Mapping):
        return node
    copied = {key: _local(below, definitions) for key, below in node.items()}
    if "$ref" in copied:
        name = copied.pop("$ref").rpartition("/")[2]
        copied = definitions[name] | copied if copied else {"$ref": f"#/$defs/{name}"}
    return copied


def _of_its_kind(first: str, *others: str) -> dict:
    """The definition that a system has to follow by its kind: the first where it has none."""
    chosen = {"$ref": f"#/$defs/{first}_system"}
    for kind in others:
        of_this_kind = {"required": ["kind"], "properties": {"kind": {"const": kind}}}
        chosen = {
            "if": {"type": "object", **of_this_kind},
            "then": {"$ref": f"#/$defs/{kind}_system"},
            "else": chosen,
        }
    return chosen


def choices(section: str, key: str) -> list[str]:
    """What the entries of a list in a section that several kinds share can be."""
    return schema()["$defs"][section]["properties"][key]["items"]["enum"]


def _finite(checker, value) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        # an integer of hundreds of digits
        return False


def _whole(checker, value) -> bool:
    return _finite(checker, value) and value == int(value)


Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": _finite, "integer": _whole}
    ),
)


def resolve(subschema: Mapping, whole: Mapping) -> Mapping:
    """The definition that `subschema` refers to, or itself."""
    if "$ref" not in subschema:
        return subschema
    return whole["$defs"][subschema["$ref"].removeprefix("#/$defs/")]


def filled(value: Any, subschema: Mapping, validator) -> Any:
    """A copy of `value` with defaults filled in and each number of the type its schema names."""
    subschema = resolve(subschema, validator.schema)
    if "if" in subschema:
        holds = validator.evolve(schema=subschema["if"]).is_valid(value)
        return filled(value, subschema["then" if holds else "else"], validator)
    if isinstance(value, Mapping):
        known = {
            key: resolve(below, validator.schema)
            for key, below in subschema.get("properties", {}).items()
        }
        defaults = {key: below["default"] for key, below in known.items() if "default" in below}
        others = subschema.get("additionalProperties") or {}
        return {
            key: filled(below, known.get(key, others), validator)
            for key, below in (defaults | dict(value)).items()
        }
    if isinstance(value, list):
        return [filled(item, subschema.get("items", {}), validator) for item in value]
    if validator.is_type(value, "number"):
        kinds = kinds_of(subschema)
        if "number" in kinds:
            return float(value)
        if "integer" in kinds and value == int(value):
            return int(value)
    return value


def kinds_of(subschema: Mapping) -> list[str]:
    """The types that a value may have."""
    kinds = subschema.get("type", [])
    return [kinds] if isinstance(kinds, str) else kinds
