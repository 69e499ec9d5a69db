"""Checkpoints: two generations, damage is noticed, other settings are not continued."""

import jax.numpy as jnp
import numpy as np

from dynmatch.storage import checkpoint

STATE = {"x": jnp.arange(5.0), "key": jnp.array([1, 2], jnp.uint32)}


def later(state):
    return {"x": state["x"] + 1, "key": state["key"]}


def test_the_newest_comes_back_bit_for_bit(tmp_path):
    checkpoint.save(tmp_path, "a", STATE, {"history": [1]})
    checkpoint.save(tmp_path, "a", later(STATE), {"history": [1, 2]})
    state, record = checkpoint.load(tmp_path, "a", STATE)
    assert record == {"history": [1, 2]}
    np.testing.assert_array_equal(state["x"], np.arange(5.0) + 1)
    assert state["key"].dtype == jnp.uint32


def test_a_damaged_one_is_named_and_the_one_before_is_used(tmp_path, caplog):
    checkpoint.save(tmp_path, "a", STATE, {"history": [1]})
    checkpoint.save(tmp_path, "a", later(STATE), {"history": [1, 2]})
    latest = tmp_path / "latest.msgpack"
    latest.write_bytes(latest.read_bytes()[:-7])
    state, record = checkpoint.load(tmp_path, "a", STATE)
    assert record == {"history": [1]}
    np.testing.assert_array_equal(state["x"], np.arange(5.0))
    assert "latest.msgpack: damaged" in caplog.text


def test_a_checkpoint_of_other_settings_is_passed_over(tmp_path):
    checkpoint.save(tmp_path, "a", STATE, {"history": [1]})
    assert checkpoint.load(tmp_path, "b", STATE) is None
    assert checkpoint.load(tmp_path / "nothing", "a", STATE) is None
