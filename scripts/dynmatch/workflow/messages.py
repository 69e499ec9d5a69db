"""What is wrong with a config and what would be right, in words that name the key."""

import difflib
from collections.abc import Iterator, Mapping

from jsonschema import ValidationError

from dynmatch.workflow.schema import kinds_of, resolve


def explain(error: ValidationError, schema: Mapping) -> Iterator[str]:
    """What is wrong and what would be right, one line for each key concerned."""
    path = _join(error.absolute_path)
    value, rule = error.instance, error.validator_value
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in [key for key in value if key not in known]:
            close = difflib.get_close_matches(str(key), known, n=1)
            guess = f"did you mean {close[0]}? " if close else ""
            full = _join([*error.absolute_path, key])
            yield f"{full} is unknown; {guess}known here: {listed(known)}"
        return
    if error.validator == "required":
        for key in [key for key in rule if key not in value]:
            about = resolve(error.schema["properties"][key], schema)["description"]
            yield f"{_join([*error.absolute_path, key])} is missing; give {about}"
        return
    if "propertyNames" in error.absolute_schema_path:
        taken = error.validator == "not"
        right = "any but " + listed(rule["enum"]) if taken else "of letters, digits, _ and -"
        yield f"{path}.{value} cannot be the name of a system; take one {right}"
        return
    about = error.schema.get("description")
    yield f"{path} {_expectation(error)}" + (f" ({about})" if about else "")


LONGEST = 200
"""Characters of a value that are shown."""
_TYPES = {
    "object": "a mapping of keys",
    "array": "a list",
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "null": "null",
}


def _expectation(error: ValidationError) -> str:
    value, rule = error.instance, error.validator_value
    match error.validator:
        case "type":
            kinds = kinds_of({"type": rule})
            wanted = " or ".join(_TYPES[kind] for kind in kinds)
            return f"is {shown(value)}; it must be {wanted}{_number_hint(value, kinds)}"
        case "enum":
            close = difflib.get_close_matches(str(value), map(str, rule), n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            return f"is {shown(value)}; it must be one of {listed(rule)}{guess}"
        case "minimum":
            return f"is {shown(value)}; it must be at least {rule}"
        case "exclusiveMinimum":
            return f"is {shown(value)}; it must be greater than {rule}"
        case "maximum":
            return f"is {shown(value)}; it must be at most {rule}"
        case "exclusiveMaximum":
            return f"is {shown(value)}; it must be less than {rule}"
        case "minItems" | "minLength" | "minProperties":
            return f"is empty; it needs at least {rule} entry"
        case "uniqueItems":
            return f"is {shown(value)}; no entry may come twice"
        case "pattern":
            return f"is {shown(value)}; it must be letters, digits, '.', '_' and '-'"
    return error.message


def _number_hint(value, kinds: list[str]) -> str:
    """YAML 1.1 takes 1e-3 for text: say how to write it."""
    if "number" in kinds and isinstance(value, str):
        try:
            return f", written as {float(value)!r}"
        except ValueError:
            pass
    return ""


def shown(value) -> str:
    if value is None:
        return "empty"
    try:
        text = f"the text {value!r}" if isinstance(value, str) else str(value)
    except ValueError:
        # Python does not write more than some thousand digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def listed(values) -> str:
    return ", ".join(map(str, values))


def _join(path) -> str:
    """A key path as a person writes it: systems.water.training.lags[0]."""
    text = ""
    for part in path:
        shown_part = part if str(part).isprintable() and part != "" else repr(part)
        text += f"[{part}]" if isinstance(part, int) else f".{shown_part}"
    return text.removeprefix(".") or "the config"
