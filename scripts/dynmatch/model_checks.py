"""Whether what a model file says makes sense: checksums tell whether it is whole, not whether it is
right. Whatever is checked here would otherwise simulate, silently, to its end."""

import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import jax
import numpy as np
import yaml
from flax.traverse_util import flatten_dict

from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.registry import equation_of
from dynmatch.errors import DynmatchError, told
from dynmatch.model import Model
from dynmatch.potentials.sum import Potential

LARGEST_TEXT = 10**7
"""Bytes of a YAML file."""
DEEPEST = 20
"""Lists and mappings within each other."""
LARGEST_ARCHIVE = 10**9
"""Bytes of all arrays of a model."""
LARGEST_COUNT = 10**5
"""Whole number in the fixed part of a potential: functions of a basis, widths of layers."""
LEAST_NUMBER, LARGEST_NUMBER = 1e-12, 1e9
"""Of what is positive, in the units of model files."""
ROUNDING = 1e-4
"""By which numbers that follow from others may differ from them, relative."""


def read_yaml(path: Path) -> dict[str, Any]:
    """The document of a YAML file.

    Raises DynmatchError when it is too large, repeats parts of itself by reference, or is no
    mapping.
    """
    if path.stat().st_size > LARGEST_TEXT:
        raise DynmatchError(f"{path}: larger than {LARGEST_TEXT / 1e6:.0f} MB, no model file")
    text = path.read_text(encoding="utf-8")
    depth = 0
    for event in yaml.parse(text):
        # a few references to references stand for more than fits into memory
        if isinstance(event, yaml.AliasEvent):
            raise DynmatchError(f"{path}: has YAML references (*), which no model file has")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise DynmatchError(f"{path}: nested more than {DEEPEST} deep, no model file")
    document = yaml.safe_load(text)
    if not isinstance(document, dict):
        raise DynmatchError(f"{path}: no mapping, no model file")
    return document


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name.

    Raises DynmatchError, before any is read, where one is not of the single precision that models
    are written in (others would be rounded to it), or where they claim more than they hold or than
    `LARGEST_ARCHIVE`.
    """
    with zipfile.ZipFile(path) as archive:
        if sum(each.file_size for each in archive.infolist()) > LARGEST_ARCHIVE:
            raise DynmatchError(f"{path}: larger than {LARGEST_ARCHIVE / 1e9:.0f} GB, no model")
        for each in archive.infolist():
            with archive.open(each) as file:
                version = np.lib.format.read_magic(file)
                read = (
                    np.lib.format.read_array_header_1_0
                    if version == (1, 0)
                    else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = read(file)
            name = each.filename.removesuffix(".npy")
            if dtype != np.float32:
                raise DynmatchError(f"{path}: {name} is of {dtype}, a model's arrays of float32")
            if math.prod(shape) * dtype.itemsize > each.file_size:
                raise DynmatchError(f"{path}: {name} claims more numbers than it holds: {shape}")
    with np.load(path, allow_pickle=False) as loaded:
        return {name: loaded[name] for name in loaded}


def require_entries(document: Mapping[str, Any], path: Path) -> None:
    """Raise DynmatchError, naming the entry, where one that every model has is missing or of
    another type: text, a mapping, positive numbers."""
    kinds = {"dynamics": str, "arrays": str, "potential": Mapping}
    for key, kind in kinds.items():
        if not isinstance(document.get(key), kind):
            raise DynmatchError(f"{path}: {key} is {shown(document.get(key))}, not of its type")
    for key in ("temperature_k", "time_step_ps"):
        _require_positive(document.get(key), key, path)
    types = document.get("types", {})
    if not isinstance(types, Mapping) or not all(isinstance(x, Mapping) for x in types.values()):
        raise DynmatchError(f"{path}: types is {shown(types)}, not of its type")
    try:
        parameters = equation_of(document["dynamics"]).parameters.values()
    except DynmatchError as error:
        raise DynmatchError(f"{path}: {error}") from error
    of_types = {f"types: {name}: ": each for name, each in types.items()}
    for parameter in parameters:
        parts = of_types if parameter.of_type and types else {"": document}
        for place, part in parts.items():
            value = part.get(parameter.column)
            # modes of a memory are lists, and there may be none of them
            if isinstance(value, list) != bool(parameter.order) or not _are_numbers(value):
                kind = "list of numbers" if parameter.order else "number"
                raise DynmatchError(
                    f"{path}: {place}{parameter.column} is {shown(value)}, no sensible {kind}"
                )


def _are_numbers(value: Any) -> bool:
    """Whether it is a number, or a list of numbers, none of hundreds of digits."""
    several = value if isinstance(value, list) else [value]
    return all(
        isinstance(x, int | float) and not isinstance(x, bool) and abs(x) < 1e300 for x in several
    )


def require_numbers(record: Mapping[str, Any], path: Path) -> None:
    """Raise DynmatchError, naming the number, where one in the fixed part of a potential is not
    finite or too large to be real."""
    for place, value in _numbers(record, "potential"):
        largest = LARGEST_COUNT if isinstance(value, int) else LARGEST_NUMBER
        if not -largest <= value <= largest:
            raise DynmatchError(f"{path}: {place} is {shown(value)}, no sensible number")


def require_arrays(
    shapes: Mapping[str, tuple[int, ...]], parameters: Mapping[str, Any], path: Path
) -> None:
    """Raise DynmatchError, naming the array, where one is missing, unknown, of another shape than
    the potential has, or not finite."""
    arrays = flatten_dict(parameters, sep="/")
    for name, shape in shapes.items():
        if name not in arrays:
            raise DynmatchError(f"{path}: has no {name}, which the potential has")
        if np.shape(arrays[name]) != shape:
            found = np.shape(arrays[name])
            raise DynmatchError(f"{path}: {name} has the shape {found}, the potential has {shape}")
        if not np.all(np.isfinite(arrays[name])):
            raise DynmatchError(f"{path}: {name} has numbers that are not finite")
    for name in arrays.keys() - shapes.keys():
        raise DynmatchError(f"{path}: has {name}, which the potential has not")


def require_sense(model: Model, document: Mapping[str, Any], path: Path) -> None:
    """Raise DynmatchError, naming the value, where the motion or the ranges of `model` make no
    sense, or where the file `document` contradicts itself."""
    types = np.ones(len(model.potential.names))
    begin = model.equation.initial(Scale(types, types, types))
    for name, parameter in model.equation.parameters.items():
        if np.shape(model.values[name]) != np.shape(begin[name]):
            found, wanted = np.shape(model.values[name]), np.shape(begin[name])
            raise DynmatchError(
                f"{path}: {parameter.column} has the shape {found} over types; the others ask for "
                f"{wanted}"
            )
        for value in np.ravel(model.values[name]).tolist():
            _require_positive(value, parameter.column, path)
    names = model.potential.names
    several = len(names) > 1
    columns = [model.columns(number) for number in range(len(names))]
    for number, name in enumerate(names):
        part, place = (document["types"][name], f"types: {name}: ") if several else (document, "")
        for column, value in columns[number].items():
            if column in part and not _alike(part[column], value, value):
                raise DynmatchError(
                    f"{path}: {place}{column} is {shown(part[column])}, but what it follows from "
                    f"gives {value}"
                )
    for column in columns[0].keys() & document.keys():
        # that of several types is of their mean site, and which sites there were is not in the file
        low, high = (end([each[column] for each in columns], axis=0) for end in (np.min, np.max))
        if not _alike(document[column], low, high):
            raise DynmatchError(
                f"{path}: {column} is {shown(document[column])}, but those of its types are from "
                f"{low} to {high}"
            )


def _alike(value: Any, low: Any, high: Any) -> bool:
    """Whether it is a number, or a list of numbers, from `low` to `high`, which are positive."""
    if not _are_numbers(value) or np.shape(value) != np.shape(low):
        return False
    numbers = np.asarray(value, np.float64)
    least, most = np.asarray(low) * (1 - ROUNDING), np.asarray(high) * (1 + ROUNDING)
    return bool(((least <= numbers) & (numbers <= most)).all())


def require_potential(potential: Potential, path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of its arrays, by name. Raises DynmatchError, naming the entry, where one in the
    fixed part of a potential is of another type or out of its range."""
    _require_positive(potential.thermal_energy, "potential: thermal_energy", path)
    names = potential.names
    for term in potential.terms:
        place = f"potential: the {term.kind} term"
        for key, kind in get_type_hints(type(term)).items():
            if hasattr(term, key) and not _is_of(getattr(term, key), kind):
                found = shown(getattr(term, key))
                raise DynmatchError(f"{path}: {place}: {key} is {found}, not of the right type")
        for key in ("cutoff", "cores", "thermal_energy"):
            for value in np.ravel(getattr(term, key, ())).tolist():
                _require_positive(value, f"{place}: {key}", path)
        # a molecule's own order is that of its sites
        if sorted(getattr(term, "names", names)) != sorted(names):
            raise DynmatchError(f"{path}: {place} is of the types {term.names}, not of {names}")
        for kind in getattr(term, "kinds", ()):
            if not set(kind.names) <= set(names):
                raise DynmatchError(f"{path}: {place}: kinds: {kind.label} is not of {names}")
        if getattr(term, "thermal_energy", potential.thermal_energy) != potential.thermal_energy:
            raise DynmatchError(f"{path}: {place} has another thermal_energy than the potential")
    pair, triplet = potential.term("pair"), potential.term("three_body")
    if pair and triplet and triplet.cutoff > pair.cutoff:
        raise DynmatchError(
            f"{path}: potential: the cutoff of the three_body term, {triplet.cutoff:g} nm, is "
            f"beyond that of the pair term, {pair.cutoff:g} nm"
        )
    try:
        wanted = jax.eval_shape(potential.initialise, jax.random.PRNGKey(0))
    except Exception as error:
        # sizes that do not go together
        raise DynmatchError(f"{path}: potential: {told(error)}") from error
    return {name: each.shape for name, each in flatten_dict(wanted, sep="/").items()}


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a field of a frozen form is of its annotated type: numbers, text, forms, and tuples
    of these."""
    inner = get_args(kind)
    if get_origin(kind) is UnionType:
        return any(_is_of(value, each) for each in inner)
    if get_origin(kind) is tuple and inner:
        if not isinstance(value, tuple):
            return False
        if inner[-1] is Ellipsis:
            return all(_is_of(each, inner[0]) for each in value)
        return len(value) == len(inner) and all(map(_is_of, value, inner))
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return isinstance(value, kind) and all(_is_of(getattr(value, n), hints[n]) for n in hints)
    if kind in (int, float):
        numbers = int if kind is int else (int, float)
        # whole numbers are counts and indices
        sound = isinstance(value, numbers) and not isinstance(value, bool)
        return sound and (kind is float or value >= 0)
    return isinstance(value, kind) if isinstance(kind, type) else True


def _require_positive(value: Any, place: str, path: Path) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DynmatchError(f"{path}: {place} is {shown(value)}, no number")
    if not LEAST_NUMBER <= value <= LARGEST_NUMBER:
        raise DynmatchError(
            f"{path}: {place} is {shown(value)}; it must be positive, from {LEAST_NUMBER:g} to "
            f"{LARGEST_NUMBER:g}"
        )


def _numbers(value: Any, place: str) -> Iterator[tuple[str, int | float]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _numbers(each, f"{place}: {key}")
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _numbers(each, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, value


def shown(value: Any) -> str:
    """Short, also of a whole number of hundreds of digits."""
    if isinstance(value, int) and abs(value) > 10**20:
        return "a whole number of more than 20 digits"
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}..."
