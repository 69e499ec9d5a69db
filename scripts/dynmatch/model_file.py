"""Trained models on disk: a YAML file to be read by people beside an archive of arrays.

Nothing in either file is executed on loading: plain YAML, and NumPy arrays without pickle. The YAML
file carries the checksum of the archive and that of its own content.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import yaml
from flax.traverse_util import flatten_dict, unflatten_dict

from dynmatch import model_format1
from dynmatch.dynamics.base import in_order
from dynmatch.dynamics.registry import equation_of
from dynmatch.errors import DynmatchError, told
from dynmatch.model import Model
from dynmatch.model_checks import (
    read_arrays,
    read_yaml,
    require_arrays,
    require_entries,
    require_numbers,
    require_potential,
    require_sense,
    shown,
)
from dynmatch.potentials import sum as potentials
from dynmatch.runtime import jax_setup
from dynmatch.sites.topology import SiteTopology
from dynmatch.storage.atomic import replacing

FORMAT_VERSION = 2
LIBRARIES = ("jax", "jaxlib", "jax-md", "flax", "optax", "numpy")


def save(
    path: str | Path,
    arrays: str | Path,
    model: Model,
    topology: SiteTopology,
    record: Mapping[str, Any],
) -> None:
    """Write `model` to the YAML file `path` and the NumPy archive `arrays`, both atomically.

    `topology` is that of the reference: numbers that stand for all sites are means over its sites.
    `record` holds plain values about the training that are kept in the YAML file as they are.
    """
    flat = {name: np.asarray(a) for name, a in flatten_dict(model.parameters, sep="/").items()}
    with replacing(arrays) as temporary:
        np.savez(temporary, **flat)
        checksum = _sha256(temporary)
    model = replace(model, values=in_order(model.equation, model.values))
    names = model.potential.names
    types = {name: model.columns(number) for number, name in enumerate(names)}
    document = {
        "format_version": FORMAT_VERSION,
        "dynamics": model.equation.name,
        **record,
        "temperature_k": model.temperature,
        "time_step_ps": model.time_step,
        **model.mean_columns(topology),
        **({"types": types} if len(names) > 1 else {}),
        "potential": model.potential.record(),
        "arrays": Path(arrays).name,
        "arrays_sha256": checksum,
        "dynmatch_version": version_of("dynmatch"),
        "library_versions": {name: version_of(name) for name in LIBRARIES},
        "jax_settings": jax_setup.record(),
    }
    document["content_sha256"] = _content_sha256(document)
    with replacing(path) as temporary:
        temporary.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def load(path: str | Path) -> Model:
    """The model of the YAML file `path` and the archive it names, which lies beside it.

    Raises DynmatchError, naming the file, when either is missing, damaged or of another format, and
    when what they say makes no sense (`model_checks`).
    """
    path = Path(path)
    try:
        return _read(path)
    except DynmatchError:
        raise
    except Exception as error:
        # whatever a damaged file makes of the forms that it describes
        raise DynmatchError(f"{path}: not a readable model: {told(error)}") from error


def _read(path: Path) -> Model:
    document = read_yaml(path)
    written = document.pop("content_sha256", None)
    if written is not None and written != _content_sha256(document):
        raise DynmatchError(
            f"{path}: checksum does not match, the file is damaged or was edited; train the "
            "model again, or take the line content_sha256 out if the change is meant"
        )
    if document.get("format_version") not in (1, FORMAT_VERSION):
        raise DynmatchError(
            f"{path}: format_version is {shown(document.get('format_version'))}, and this version "
            f"of dynmatch reads formats up to {FORMAT_VERSION}"
        )
    require_entries(document, path)
    arrays = path.with_name(Path(document["arrays"]).name or "none")
    if not arrays.is_file():
        raise DynmatchError(f"{path}: arrays is {shown(document['arrays'])}, no file beside it")
    if _sha256(arrays) != document.get("arrays_sha256"):
        raise DynmatchError(f"{arrays}: checksum does not match {path}; train the model again")
    require_numbers(document["potential"], path)
    read = {name: jnp.asarray(array) for name, array in read_arrays(arrays).items()}
    parameters = unflatten_dict(read, sep="/")
    first = document["format_version"] == 1
    try:
        model = (model_format1.model_of if first else _model_of)(document, parameters)
    except Exception as error:
        # all else was looked at; whatever a damaged form makes of itself
        raise DynmatchError(f"{path}: potential: {told(error)}") from error
    shapes = require_potential(model.potential, path)
    require_arrays(shapes, model.parameters, arrays)
    require_sense(model, document, path)
    return model


def _model_of(document: Mapping[str, Any], parameters: dict) -> Model:
    kind = equation_of(document["dynamics"])
    potential = potentials.of_record(document["potential"])
    several = len(potential.names) > 1
    types = [document["types"][name] for name in potential.names] if several else [document]
    values = {
        name: np.array([each[parameter.column] for each in types], np.float64)
        if parameter.of_type
        else float(document[parameter.column])
        for name, parameter in kind.parameters.items()
    }
    equation = kind.of_values(float(document["time_step_ps"]), values)
    return Model(equation, values, potential, parameters, float(document["temperature_k"]))


def version_of(package: str) -> str:
    """Installed version of a distribution; "source" when it runs from its source tree."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


def _content_sha256(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
