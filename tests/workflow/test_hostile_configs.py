"""Configs that were generated: each is right, or ends in lines that name the key at fault."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynmatch.errors import DynmatchError
from dynmatch.workflow.config import complete
from tests.helpers.generated import lenient
from tests.systems.test_cards import SHIPPED

pytestmark = pytest.mark.usefixtures("little_memory")


def leaves(node, path=()) -> list[tuple]:
    """Paths of all values that are no sections."""
    if not isinstance(node, dict):
        return [path]
    return [leaf for key, below in node.items() for leaf in leaves(below, (*path, key))]


COMPLETED = {kind: complete(config) for kind, (config, _) in SHIPPED.items()}
PLACES = [(kind, path) for kind, config in COMPLETED.items() for path in leaves(config)]
HOSTILE = st.one_of(
    st.sampled_from(
        [1e308, -1e308, 1e-320, -1, 0, 0.0, float("nan"), float("inf"), 10**400, 2**63, True, None]
    ),
    st.sampled_from(["", "x\n", "\0", "../..", "é" * 300, "1e-3", [], {}, [[]], [None], {"a": 1}]),
    st.integers(),
    st.floats(),
    st.floats(min_value=1e-6, max_value=1e6),
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=5)), max_size=4),
)


@lenient(60)
@given(st.sampled_from(PLACES), HOSTILE)
def test_one_value_is_anything(place, value):
    kind, (*sections, key) = place
    config = copy.deepcopy(COMPLETED[kind])
    below = config
    for section in sections:
        below = below[section]
    below[key] = value
    try:
        complete(config)
    except DynmatchError as error:
        lines = str(error).splitlines()
        assert lines
        assert all(line.startswith("config: ") for line in lines), lines
        assert str(key) in lines[0], (place, value, lines)


@lenient(60)
@given(st.sampled_from(PLACES), st.text(min_size=1, max_size=12), HOSTILE)
def test_one_key_is_anything(place, name, value):
    """An unknown key is named; a name of a system is allowed, if it is one."""
    kind, (*sections, key) = place
    config = copy.deepcopy(COMPLETED[kind])
    below = config
    for section in sections:
        below = below[section]
    below[name] = below.pop(key) if name not in below else value
    try:
        complete(config)
    except DynmatchError as error:
        assert all(line.startswith("config: ") for line in str(error).splitlines())
