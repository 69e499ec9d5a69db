"""The recipe for Apptainer without Apptainer: its files in a folder, its command from elsewhere."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.rule_files import ROOT

RECIPE = (ROOT / "envs/apptainer.def").read_text(encoding="utf-8")
INSIDE = "/opt/dynmatch"


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """What the recipe copies, where it would lie in the image."""
    root = tmp_path_factory.mktemp("image")
    (files,) = re.findall(r"%files\n(.*?)\n\n", RECIPE, re.DOTALL)
    for source, target in (line.split() for line in files.splitlines()):
        place = root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, place)
    return root


@pytest.mark.parametrize("preset", ["demo", "dipeptide"])
def test_a_preset_finds_its_files_in_the_image(image, tmp_path, preset):
    """Those of the dipeptide are in examples/."""
    (command,) = re.findall(r"exec snakemake (.*?) \"\$@\"", RECIPE)
    given = f"--configfile {INSIDE}/config.yaml {INSIDE}/presets/{preset}.yaml --cores 2 --dry-run"
    words = f"{command} {given}".replace(INSIDE, str(image / INSIDE.lstrip("/")))
    call = [sys.executable, "-m", "snakemake", *shlex.split(words)]
    done = subprocess.run(
        call, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^training +\d+$", done.stdout, re.MULTILINE)
