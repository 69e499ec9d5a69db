"""Loops that go on: two generations or all parts, damage is noticed, other settings are not gone on
from."""

import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch.storage import checkpoint
from dynmatch.storage.checkpoint import Resumable

STATE = {"x": jnp.arange(5.0), "key": jnp.array([1, 2], jnp.uint32)}


def later(state, by=1):
    return {"x": state["x"] + by, "key": state["key"]}


def test_the_newest_comes_back_bit_for_bit(tmp_path):
    loop = Resumable(tmp_path, "a")
    loop.save(STATE, {"history": [1]})
    loop.save(later(STATE), {"history": [1, 2]})
    state, record = Resumable(tmp_path, "a").load(STATE)
    assert record == {"history": [1, 2]}
    np.testing.assert_array_equal(state["x"], np.arange(5.0) + 1)
    assert state["key"].dtype == jnp.uint32
    assert {path.name for path in tmp_path.iterdir()} == {"latest.msgpack", "previous.msgpack"}


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_one_is_named_and_the_one_before_is_used(damage, tmp_path, caplog):
    loop = Resumable(tmp_path, "a")
    loop.save(STATE, {"history": [1]})
    loop.save(later(STATE), {"history": [1, 2]})
    latest = tmp_path / "latest.msgpack"
    content = bytearray(latest.read_bytes())
    content[len(content) // 2] ^= damage == "flipped"
    latest.write_bytes(content[: -7 if damage == "truncated" else None])
    state, record = loop.load(STATE)
    assert record == {"history": [1]}
    np.testing.assert_array_equal(state["x"], np.arange(5.0))
    assert "latest.msgpack: damaged" in caplog.text


def test_where_all_are_damaged_or_none_was_written_there_is_none(tmp_path):
    assert Resumable(tmp_path / "nothing", "a").load(STATE) is None
    loop = Resumable(tmp_path, "a")
    for number in range(3):
        loop.save(STATE, {"number": number})
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    assert loop.load(STATE) is None


def test_those_of_other_settings_are_passed_over(tmp_path):
    """Also where the newest is of others, and the one before is one's own."""
    Resumable(tmp_path, "a").save(STATE, {"history": [1]})
    assert Resumable(tmp_path, "b").load(STATE) is None
    Resumable(tmp_path, "b").save(later(STATE), {"history": [2]})
    assert Resumable(tmp_path, "b").load(STATE)[1] == {"history": [2]}
    assert Resumable(tmp_path, "a").load(STATE)[1] == {"history": [1]}


def test_parts_are_all_kept_and_read_up_to_the_first_that_cannot_be_used(tmp_path, caplog):
    loop = Resumable(tmp_path, "a")
    assert loop.load_parts(STATE) == []
    for number in range(4):
        loop.save_part(number, later(STATE, number), {"done": number + 1})
    parts = Resumable(tmp_path, "a").load_parts(STATE)
    assert [record["done"] for _, record in parts] == [1, 2, 3, 4]
    for number, (state, _) in enumerate(parts):
        np.testing.assert_array_equal(state["x"], np.arange(5.0) + number)
    damaged = tmp_path / "part-0002.msgpack"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    # what comes after a gap does not continue what is before it
    assert len(loop.load_parts(STATE)) == 2
    assert "part-0002.msgpack: damaged" in caplog.text
    loop.save_part(2, STATE, {"done": 3})
    assert len(loop.load_parts(STATE)) == 4
    assert Resumable(tmp_path, "b").load_parts(STATE) == []


def test_parts_of_two_lengths_have_the_shapes_that_they_were_written_with(tmp_path):
    """The template tells the tree, not the shapes: parts hold as many frames as came."""
    loop = Resumable(tmp_path, "a")
    for number, frames in enumerate((3, 7, 0)):
        loop.save_part(number, {"frames": np.zeros((2, frames, 3), np.float32)}, {})
    found = loop.load_parts({"frames": np.zeros(1)})
    assert [state["frames"].shape[1] for state, _ in found] == [3, 7, 0]


def test_one_is_due_when_its_time_has_come(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    loop = Resumable(tmp_path, "a")
    assert not loop.due()
    now[0] += checkpoint.SECONDS + 1
    assert loop.due()
    loop.save(STATE, {})
    assert not loop.due()
    now[0] += checkpoint.SECONDS + 1
    loop.save_part(0, STATE, {})
    assert not loop.due()
