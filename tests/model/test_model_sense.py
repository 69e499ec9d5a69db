"""Model files that are whole and make no sense: generated, seeds fixed.

Every file here has checksums that match. It either gives the model that was saved, or ends in one
error that begins with the name of the file.
"""

import copy
import hashlib
import io
import zipfile

import jax
import numpy as np
import pytest
import yaml

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.errors import DynmatchError
from dynmatch.model_file import load, save
from tests.helpers.fluids import fluid, random_parameters, unbonded
from tests.helpers.models import model_of

HOSTILE = (
    *(np.nan, np.inf, -np.inf, -5.0, 0.0, 1e308, -1e308, 1e-320, 10**400, -(10**25), 10**11, -1),
    *("gamma", "", None, True, [], {}, [[]], [1.0, "x"], {"a": {"b": []}}, "1e3", "../../etc"),
)
FREE = {"system", "seed", "dynmatch_version", "library_versions"}
"""Keys of the record, which are not read."""
MODELS = {
    "bd": ("bd", ("W",), (0.26,)),
    "ld": ("ld", ("W",), (0.26,)),
    "gle": ("gle", ("W",), (0.26,)),
    "two types": ("ld", ("A", "B"), (0.25, 0.23, 0.21)),
}


def saved(folder, kind, names, cores):
    """Paths of a saved model, the model, and its document without checksum."""
    potential = fluid(names, cores, hidden=(3,))
    model = model_of(potential, random_parameters(potential, 1), kind)
    path, arrays = folder / "model.yaml", folder / "model.npz"
    save(path, arrays, model, unbonded("".join(names) * 4), {"system": "water", "seed": 1})
    document = yaml.safe_load(path.read_text())
    del document["content_sha256"]
    return path, arrays, model, document


def places(value, path=()) -> list[tuple]:
    """Of everything in a document, by its keys."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, each in value.items():
            found += places(each, (*path, key))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            found += places(each, (*path, number))
    return found


def changed(document, path, value):
    document = copy.deepcopy(document)
    part = document
    for key in path[:-1]:
        part = part[key]
    if value is KeyError:
        del part[path[-1]]
    else:
        part[path[-1]] = value
    return document


def same(one, other) -> bool:
    trees = [(each.values, each.parameters) for each in (one, other)]
    alike = jax.tree.structure(trees[0]) == jax.tree.structure(trees[1])
    equal = alike and jax.tree.all(jax.tree.map(np.array_equal, *trees))
    return equal and one.potential == other.potential and one.equation == other.equation


def refused_or_same(path, model) -> str:
    """The message of the refusal, empty where the model is the one that was saved."""
    try:
        found = load(path)
    except DynmatchError as error:
        assert str(error).startswith(str(path.with_suffix("")))
        return str(error)
    assert same(found, model)
    assert found.temperature == model.temperature
    return ""


@pytest.mark.parametrize("each", MODELS.values(), ids=MODELS)
def test_a_document_with_one_wrong_value(tmp_path, each):
    """75 of each model: one place, and one hostile value or none at all."""
    rng = np.random.default_rng(5)
    path, _, model, document = saved(tmp_path, *each)
    able = [place for place in places(document) if place[0] not in FREE]
    refused = 0
    for _ in range(75):
        place = able[rng.integers(len(able))]
        value = (*HOSTILE, KeyError)[rng.integers(len(HOSTILE) + 1)]
        path.write_text(yaml.safe_dump(changed(document, place, value)))
        refused += bool(refused_or_same(path, model))
    # all but what stays what it was, and derived numbers that are left out
    assert refused > 50


def with_arrays(path, arrays, document, content: bytes) -> None:
    arrays.write_bytes(content)
    checksum = hashlib.sha256(content).hexdigest()
    path.write_text(yaml.safe_dump(document | {"arrays_sha256": checksum}))


def archive_of(arrays: dict) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def wrong(array: np.ndarray, rng) -> np.ndarray | None:
    """The array with one fault, of which there are six; None for none."""
    one = array.copy()
    one.flat[rng.integers(one.size)] = rng.choice([np.nan, np.inf, -np.inf])
    faults = [one, array[None], array[..., :-1], array.astype(complex), array.astype("U8"), None]
    return faults[rng.integers(len(faults))]


@pytest.mark.parametrize("each", MODELS.values(), ids=MODELS)
def test_an_archive_with_one_wrong_array(tmp_path, each):
    rng = np.random.default_rng(6)
    path, arrays, model, document = saved(tmp_path, *each)
    with np.load(arrays) as archive:
        sound = dict(archive)
    for _ in range(25):
        name = list(sound)[rng.integers(len(sound))]
        fault = wrong(sound[name], rng)
        others = {n: a for n, a in sound.items() if n != name}
        given = others if fault is None else others | {name: fault}
        with_arrays(path, arrays, document, archive_of(given))
        assert name in refused_or_same(path, model)


def test_an_array_that_claims_more_than_there_is_takes_no_memory(tmp_path):
    path, arrays, model, document = saved(tmp_path, *MODELS["ld"])
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    entry = io.BytesIO()
    np.lib.format.write_array_header_1_0(entry, header)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("pair.npy", entry.getvalue() + b"\0" * 400)
    with_arrays(path, arrays, document, file.getvalue())
    assert "pair claims more numbers than it holds" in refused_or_same(path, model)


TEXTS = {
    "nested": "[" * 100_000,
    "cycle": "a: &a [1, *a]",
    "references": "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]",
    "list": "- 1\n- 2",
    "empty": "",
    "zero": "\0",
    "half": "dynamics: {",
    "binary": "\xff\xfe",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_that_is_no_model(tmp_path, text):
    path, _, model, _ = saved(tmp_path, *MODELS["ld"])
    path.write_text(text, encoding="latin-1")
    assert refused_or_same(path, model)


def test_what_an_edit_of_a_derived_number_says(tmp_path):
    """It would reach summary.csv otherwise."""
    path, _, model, document = saved(tmp_path, *MODELS["ld"])
    path.write_text(yaml.safe_dump(document | {"d0_nm2_per_ps": 0.5}))
    assert "d0_nm2_per_ps is 0.5, but what it follows from gives" in refused_or_same(path, model)


@pytest.mark.parametrize("kind", DYNAMICS)
def test_every_value_of_a_dynamics_must_be_positive(tmp_path, kind):
    path, _, model, document = saved(tmp_path, kind, ("W",), (0.26,))
    for parameter in model.equation.parameters.values():
        value = document[parameter.column]
        bad = [-1.0, *value[1:]] if isinstance(value, list) else -1.0
        path.write_text(yaml.safe_dump(document | {parameter.column: bad}))
        assert f"{parameter.column} is -1.0; it must be positive" in refused_or_same(path, model)
