"""The schema in its files: one for all runs and one for each kind of system, and typed settings."""

from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest
import yaml
from jsonschema import Draft202012Validator

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.observables.registry import ANALYSES
from dynmatch.runtime.names import named
from dynmatch.settings import BaselineSettings, TrainingSettings, ValidationSettings
from dynmatch.systems.registry import SYSTEMS, card_of
from dynmatch.workflow.schema import COMMON, FOLDER, kinds_of, resolve, schema
from tests.systems.test_cards import shipped

FILES = sorted(FOLDER.rglob("*.yaml"))
REQUIRED = (
    "systems",
    "kind",
    "topology",
    "trajectories",
    "frame_spacing",
    "name",
    "atoms",
    "molecules",
    "file",
    "count",
    "force_field",
    "density",
)
"""Keys without a default: what only the user can know."""


def subschemas(node):
    """Every mapping in a schema, wherever it stands."""
    if isinstance(node, dict):
        yield node
    for below in node.values() if isinstance(node, dict) else node:
        if isinstance(below, dict | list):
            yield from subschemas(below)


def test_the_schema_describes_every_key_and_admits_no_other():
    whole = schema()
    Draft202012Validator.check_schema(whole)
    sections = [node for node in subschemas(whole) if node.get("type") == "object"]
    assert len(sections) > 20
    for node in sections:
        for key, below in node.get("properties", {}).items():
            if "const" in below:
                continue
            below = resolve(below, whole)
            assert below["description"], key
            assert "default" in below or key in REQUIRED, key
            assert node["additionalProperties"] is False or key == "kind"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_each_file_is_a_schema_whose_references_lead_somewhere(file):
    """So that an editor can use it by itself."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(content)
    for node in subschemas(content):
        if "$ref" in node:
            path, _, pointer = node["$ref"].partition("#/$defs/")
            target = (file.parent / path).resolve() if path else file
            assert pointer in yaml.safe_load(target.read_text(encoding="utf-8"))["$defs"]


def test_each_kind_of_system_has_a_file_and_there_is_no_other():
    assert {file.stem for file in FILES} == {*SYSTEMS, COMMON.removesuffix(".yaml")}
    assert schema()["$defs"]["kind"]["enum"] == list(SYSTEMS)


def test_the_dynamics_are_those_of_the_registry():
    definitions = schema()["$defs"]
    assert definitions["dynamics"]["enum"] == list(DYNAMICS)
    sections = definitions["training"]["properties"]
    for name in DYNAMICS:
        assert "time_step" in sections[name]["properties"]


SECTIONS = {
    "training": TrainingSettings,
    "baselines": BaselineSettings,
    "validation": ValidationSettings,
}
TYPES = {"number": float, "integer": int, "string": str, "boolean": bool}


def settings_of(kind: str) -> dict[str, type]:
    """Class of the settings of each section that a kind of system has beside its reference."""
    card, properties = card_of(kind), schema()["$defs"][f"{kind}_system"]["properties"]
    found = {
        **SECTIONS,
        "potential": named(card.potential),
        "observables": named(ANALYSES[card.analysis].settings),
    }
    others = {"kind", "temperature", "reference"}
    assert properties.keys() - others <= found.keys()
    return {section: found[section] for section in properties.keys() - others}


def assert_equal(settings: type, section: dict, where: str) -> None:
    """Names, types and defaults of `settings` are those of the schema's section."""
    types, defaults = get_type_hints(settings), settings.of({}).section()
    names = [each.name for each in fields(settings)]
    assert sorted(names) == sorted(section["properties"]), where
    for name in names:
        key, at = resolve(section["properties"][name], schema()), f"{where}.{name}"
        if key["type"] == "object":
            assert is_dataclass(types[name]), at
            assert key["default"] == {}, at
            assert_equal(types[name], key, at)
            continue
        assert defaults[name] == key["default"], at
        if key["type"] == "array":
            items = key["items"]
            assert types[name] == tuple[TYPES[items.get("type", "string")], ...], at
            continue
        kind, *null = kinds_of(key)
        assert types[name] == (TYPES[kind] | None if null else TYPES[kind]), at
        assert isinstance(key["default"], types[name]), at


@pytest.mark.parametrize("kind", SYSTEMS)
def test_settings_in_python_are_those_of_the_schema(kind):
    for name, settings in settings_of(kind).items():
        section = resolve(schema()["$defs"][f"{kind}_system"]["properties"][name], schema())
        assert_equal(settings, section, f"{kind}.{name}")


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_completed_section_is_its_settings_and_back(kind):
    system = shipped(kind)
    for name, settings in settings_of(kind).items():
        assert settings.of(system[name]).section() == system[name]
