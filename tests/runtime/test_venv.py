"""`make environment`: when it makes .venv anew, and when it leaves it alone."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.rule_files import ROOT

MISSING = f"no-such-package==1 --hash=sha256:{'0' * 64}\n"


def make(folder: Path) -> subprocess.CompletedProcess:
    """As `make environment`, with nothing from the network."""
    return subprocess.run(
        ["make", "environment", f"PYTHON={sys.executable}"],
        cwd=folder,
        env=os.environ | {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with a lock of no packages, and its environment."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "envs").mkdir()
    shutil.copy(ROOT / "envs/venv.py", folder / "envs")
    (folder / "requirements.lock").write_text("# one\n")
    call = make(folder)
    assert call.returncode == 0, call.stderr
    return folder


@pytest.fixture
def mark(made) -> Path:
    """A file in the environment, which is lost where it is made anew."""
    path = made / ".venv/mark"
    path.touch()
    return path


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".venv.*")]


def test_its_programs_run_under_its_final_name(made):
    told = subprocess.run([made / ".venv/bin/pip", "--version"], capture_output=True, text=True)
    assert str(made / ".venv/lib") in told.stdout
    assert leftovers(made) == []


def test_a_lock_with_a_new_date_changes_nothing(made, mark):
    later = time.time() + 100
    os.utime(made / "requirements.lock", (later, later))
    assert make(made).returncode == 0
    assert mark.exists()


def test_packages_that_cannot_be_had_leave_it_as_it_was(made, mark):
    lock = made / "requirements.lock"
    before = lock.read_text()
    lock.write_text(MISSING)
    call = make(made)
    lock.write_text(before)
    assert call.returncode != 0
    assert ".venv is as it was" in call.stderr
    assert mark.exists()
    assert leftovers(made) == []


def test_it_is_left_alone_while_it_is_in_use(made, mark):
    if not Path("/proc/self/maps").exists():
        pytest.skip("which processes use it is known from /proc")
    lock = made / "requirements.lock"
    before = lock.read_text()
    lock.write_text("# another\n")
    user = subprocess.Popen([made / ".venv/bin/python", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        call = make(made)
    finally:
        user.communicate(b"\n")
        lock.write_text(before)
    assert call.returncode != 0
    assert f"in use by process {user.pid}" in call.stderr
    assert mark.exists()


def test_a_link_is_used_and_never_replaced(made, mark, tmp_path):
    for name in ("Makefile", "envs", "requirements.lock"):
        (tmp_path / name).symlink_to(made / name)
    (tmp_path / ".venv").symlink_to(made / ".venv")
    assert make(tmp_path).returncode == 0
    (tmp_path / "requirements.lock").unlink()
    (tmp_path / "requirements.lock").write_text("# another\n")
    call = make(tmp_path)
    assert call.returncode != 0
    assert "is a link to" in call.stderr
    assert mark.exists()


def test_another_lock_makes_it_anew(made, mark):
    (made / "requirements.lock").write_text("# two\n")
    assert make(made).returncode == 0
    assert not mark.exists()
    assert leftovers(made) == []
