"""What a rule leaves in its log."""

import logging
import sys
import warnings

import pytest
from tqdm import tqdm

from dynmatch.errors import DynmatchError
from dynmatch.workflow.log import rule_log


def test_messages_and_warnings_reach_stderr_and_the_file(tmp_path, capsys):
    path = tmp_path / "logs" / "rule.log"
    with rule_log(path):
        logging.getLogger("dynmatch.training.game").info("score gap 0.5")
        logging.getLogger("jax").info("chatter")
        warnings.warn("not converged", stacklevel=1)
        print("plain", file=sys.stderr)
    text = path.read_text()
    assert "INFO score gap 0.5" in text
    assert "not converged" in text
    assert "plain\n" in text
    assert "chatter" not in text
    assert capsys.readouterr().err == text


def test_a_progress_bar_leaves_its_last_state(tmp_path):
    with rule_log(tmp_path / "log"):
        for step in tqdm(range(50), mininterval=0, ascii=True):
            if step == 10:
                logging.getLogger("dynmatch").info("halfway")
    lines = (tmp_path / "log").read_text().splitlines()
    assert len([line for line in lines if "50/50" in line]) == 1
    assert len([line for line in lines if line.endswith("halfway")]) == 1
    assert not [line for line in lines if "\r" in line]


def test_an_error_for_the_user_is_one_line_and_exit_status_1(tmp_path, capsys):
    with pytest.raises(SystemExit) as left, rule_log(tmp_path / "log"):
        raise DynmatchError("projected.h5: truncated")
    assert left.value.code == 1
    assert (tmp_path / "log").read_text() == "error: projected.h5: truncated\n"
    assert capsys.readouterr().err == "error: projected.h5: truncated\n"


def test_any_other_error_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), rule_log(tmp_path / "log"):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError: division by zero" in (tmp_path / "log").read_text()


def test_stderr_and_logging_are_given_back(tmp_path):
    before = (sys.stderr, logging.getLogger().level, list(logging.getLogger().handlers))
    with rule_log(tmp_path / "log"):
        pass
    assert before == (sys.stderr, logging.getLogger().level, list(logging.getLogger().handlers))
