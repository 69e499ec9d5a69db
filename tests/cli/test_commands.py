"""The command `dynmatch`: what it writes and says, and that asking for help waits for nothing."""

import subprocess
import sys

import pytest

from dynmatch.cli.main import main
from dynmatch.cli.registry import COMMANDS
from dynmatch.model_file import load, save
from dynmatch.runtime.source_closure import LIBRARY
from dynmatch.sites import trajectory
from dynmatch.training.train import Trained
from tests.helpers.models import grid, soft_model

SETTINGS = """
potential: {pair_basis: 12, hidden: []}
training:
  lags: [0.1]
  updates: 1
  windows: 2
  aa_windows: 4
  start: {updates: 1, replicas: 2}
"""


@pytest.fixture(autouse=True)
def settings_of_this_process(monkeypatch):
    """JAX has been configured already, and for all tests."""
    monkeypatch.setattr("dynmatch.runtime.jax_setup.configure", lambda device, threads: None)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model and a trajectory of the sites that it knows."""
    folder = tmp_path_factory.mktemp("files")
    model, start = soft_model("ld", 0.0125), grid(4, 1.25)
    save(folder / "model.yaml", folder / "model.npz", model, start.topology, {"status": "ok"})
    trajectory.write(folder / "start.h5", start)
    return folder


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_imports_no_jax(name):
    code = (
        "import sys\nfrom dynmatch.cli.main import main\n"
        f"try: main({[*([name] if name else []), '--help']})\n"
        "except SystemExit as stopped: assert stopped.code == 0\n"
        "assert not {'jax', 'openmm', 'flax'} & set(sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(LIBRARY.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert (name or "COMMAND") in told.stdout


def test_info_of_a_model(files, capsys):
    assert main(["info", str(files / "model.yaml")]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    known = load(files / "model.yaml").identifiable()
    assert told["dynamics"] == "ld"
    assert told["status"] == "ok"
    assert float(told["d0_nm2_per_ps"]) == pytest.approx(known["d0_nm2_per_ps"][0], rel=1e-5)


def test_info_of_a_trajectory(files, capsys):
    assert main(["info", str(files / "start.h5")]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (told["sites"], told["frames"], told["types"]) == ("64", "2", "64 W")
    assert told["box_nm"] == "1.25, 1.25, 1.25"
    assert float(told["mass_amu"]) == 64 * 18


def test_simulate_writes_a_trajectory(files, tmp_path, monkeypatch):
    monkeypatch.setattr("dynmatch.simulation.run.FRAMES_PER_CHUNK", 11)
    made = tmp_path / "made.h5"
    words = ["simulate", files / "model.yaml", files / "start.h5", made]
    words += ["--length", "1", "--frame-spacing", "0.1", "--replicas", "2"]
    assert main(list(map(str, words))) == 0
    assert [each.n_frames for each in trajectory.read(made).replicas()] == [11, 11]


def test_export_writes_the_files_of_an_engine(files, tmp_path, capsys):
    words = ["export", "openmm", files / "model.yaml", files / "start.h5", tmp_path]
    assert main(list(map(str, words))) == 0
    told = capsys.readouterr().out.splitlines()
    assert sorted(map(str, tmp_path.iterdir())) == sorted(told)
    assert (tmp_path / "run_openmm.py").exists()


def test_train_hands_on_what_it_was_given_and_writes_the_model(
    files, tmp_path, capsys, monkeypatch
):
    """Trainings themselves are tested by their own."""
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    given = []

    def trained(*words):
        given.extend(words[1:])
        return Trained(soft_model("bd"), [{"update": 1}], [], "updates", "ok", 0.1)

    monkeypatch.setattr("dynmatch.training.train.train", trained)
    words = ["train", files / "start.h5", tmp_path / "bd", "--dynamics", "bd", "--seed", "3"]
    words += ["--temperature", "310", "--settings", tmp_path / "settings.yaml"]
    assert main(list(map(str, words))) == 0
    dynamics, temperature, potential, training, seed, folder = given
    assert (dynamics, temperature, seed) == ("bd", 310.0, 3)
    assert (potential.pair_basis, potential.hidden) == (12, ())
    assert (training.lags, training.start.updates) == ((0.1,), 1)
    assert folder == tmp_path / "bd/checkpoint"
    assert load(tmp_path / "bd/model.yaml").equation.name == "bd"
    assert "ok, 1 updates" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "bd").iterdir()} == {
        "model.yaml",
        "model.npz",
        "history.csv",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("trainin: {}", "trainin is none of the sections"),
        ("training: {update: 1}", "update"),
        ("[", "no settings of a training"),
    ],
)
def test_wrong_settings_are_named(files, tmp_path, capsys, text, said):
    (tmp_path / "settings.yaml").write_text(text)
    words = ["train", files / "start.h5", tmp_path / "m", "--temperature", "300"]
    words += ["--settings", tmp_path / "settings.yaml"]
    assert main(list(map(str, words))) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert said in told


def test_a_file_that_is_missing_is_named(tmp_path, capsys):
    assert main(["info", str(tmp_path / "model.yaml")]) == 1
    assert "model.yaml" in capsys.readouterr().err
