"""Every rule's conda environment holds all that its script imports: `make test-conda`.

A Python script in a conda environment also sees the packages of the snakemake that launched it: a
run that passes proves nothing. Here, the environment's own interpreter imports what the script and
the library below it import, in isolated mode, where it sees its own packages only.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from dynmatch.runtime.source_closure import imports  # noqa: E402
from tests.runtime.test_environments import RULES, code_of, environment_of  # noqa: E402

SMOKE = ["--configfile", ROOT / "config.yaml", ROOT / "presets" / "smoke.yaml"]
IMPORT = """
import importlib, sys
sys.path.append(sys.argv[1])
for name in sys.argv[2:]:
    parent, _, last = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        # it may be something that a module holds
        if not parent or not hasattr(importlib.import_module(parent), last):
            raise
outside = [p for p in sys.path[:-1] if not p.startswith(sys.prefix)]
assert not outside, outside
print(*sorted({name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


def snakemake(own: Path, *options: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--use-conda", *options]
    command += [*SMOKE, own]
    call = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE)
    assert call.returncode == 0
    return call.stdout


@pytest.fixture(scope="session")
def environments(tmp_path_factory) -> dict[str, Path]:
    """Folder of each environment, by the name of its file; made where it is not there yet."""
    if shutil.which("conda") is None:
        pytest.skip("conda is not installed here")
    # a system of the user's own beside water, whose rules have an environment of their own
    folder = tmp_path_factory.mktemp("own")
    files = {"topology": str(folder / "top.pdb"), "trajectories": [str(folder / "run.xtc")]}
    for path in (files["topology"], *files["trajectories"]):
        Path(path).touch()
    own = {"kind": "trajectory", "reference": files | {"frame_spacing": 0.02}}
    overlay = folder / "own.yaml"
    overlay.write_text(yaml.safe_dump({"systems": {"own": own}}))
    snakemake(overlay, "--conda-create-envs-only")
    listed = snakemake(overlay, "--list-conda-envs")
    return {
        Path(file).name: ROOT / folder
        for file, folder in re.findall(r"^(\S+\.yaml)\s+(?:\S+\s+)?(\S+)$", listed, flags=re.M)
    }


@pytest.mark.parametrize("rule", RULES)
def test_environment_holds_all_that_the_rule_imports(rule, environments):
    python = environments[environment_of(rule).name] / "bin" / "python"
    names = set()
    for path in code_of(rule):
        names |= {name for name in imports(path) if not name.startswith("snakemake")}
    call = subprocess.run(
        [python, "-I", "-c", IMPORT, ROOT / "scripts", *sorted(names)],
        env={"PATH": "/usr/bin:/bin", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert call.returncode == 0, call.stderr[-2000:]
    assert "snakemake" not in call.stdout.split()
