"""Files appear complete, whoever else writes them."""

import os
import time

import pytest

from dynmatch.storage import atomic
from dynmatch.storage.atomic import replacing


def test_two_that_write_one_file_do_not_meet(tmp_path):
    path = tmp_path / "table.csv"
    with replacing(path) as first, replacing(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert [each.name for each in tmp_path.iterdir()] == ["table.csv"]


def test_what_a_killed_job_left_goes_with_the_next_that_succeeds(tmp_path):
    path = tmp_path / "model[1].csv"
    old, new = (tmp_path / f".model[1].{n}-0.part.csv" for n in (1, 2))
    old.write_text("half")
    new.write_text("half")
    long_ago = time.time() - 2 * atomic.ABANDONED
    os.utime(old, (long_ago, long_ago))
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([new.name, path.name])


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")
    with pytest.raises(ValueError, match="no"), replacing(path) as temporary:
        temporary.write_text("half")
        raise ValueError("no")
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1
