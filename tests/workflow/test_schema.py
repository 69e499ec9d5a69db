"""The schema in its files: one for all runs and one for each kind of system, and typed settings."""

import pytest
import yaml
from jsonschema import Draft202012Validator

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.systems.registry import SYSTEMS
from dynmatch.workflow.schema import COMMON, FOLDER, resolve, schema

FILES = sorted(FOLDER.rglob("*.yaml"))
REQUIRED = ("systems", "kind", "topology", "trajectories", "frame_spacing", "name", "atoms")
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
        assert {"time_step", "damping_time"} <= sections[name]["properties"].keys()
