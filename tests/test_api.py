"""The public face: names that import what they need when they are used, and models that are handed
on from one to the other."""

import subprocess
import sys

import jax
import numpy as np
import pytest

import dynmatch
from dynmatch.model_file import save
from dynmatch.runtime.source_closure import LIBRARY
from dynmatch.simulation import run
from tests.helpers.fluids import fluid
from tests.helpers.models import grid, model_of

HEAVY = ("jax", "flax", "optax", "openmm", "mdtraj", "scipy", "numpy")


def imported_by(code: str) -> set[str]:
    """Which of the heavy packages a process has imported after `code`."""
    code += f"\nimport sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(LIBRARY.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import dynmatch",
        "import dynmatch; dir(dynmatch); dynmatch.__version__",
        "from dynmatch import TrainingSettings; TrainingSettings(updates=1)",
    ],
)
def test_importing_it_imports_nothing_heavy(code):
    assert imported_by(code) == set()


def test_reading_a_trajectory_does_not_wait_for_jax():
    assert "jax" not in imported_by("import dynmatch; dynmatch.read")


def test_a_training_does_not_wait_for_openmm():
    """The check of the check: JAX is there."""
    found = imported_by("import dynmatch; dynmatch.train; dynmatch.simulate; dynmatch.load_model")
    assert "jax" in found
    assert "optax" in found


def test_every_name_is_there_and_no_other():
    for name in dynmatch.__all__:
        assert callable(getattr(dynmatch, name))
        assert name in dir(dynmatch)
    with pytest.raises(AttributeError, match="'dynmatch' has no attribute 'teach'"):
        dynmatch.teach  # noqa: B018


def test_a_model_moves_alike_as_it_was_trained_and_as_it_was_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "FRAMES_PER_CHUNK", 6)
    potential = fluid(basis=10, degree=1)
    model = model_of(potential, potential.initialise(jax.random.key(1)))
    start = grid(3, 1.25)
    save(tmp_path / "model.yaml", tmp_path / "model.npz", model, start.topology, {})
    loaded = dynmatch.load_model(tmp_path / "model.yaml")
    settings = dict(length=0.1, frame_spacing=0.02, seed=2)
    as_trained = dynmatch.simulate(model, start, **settings)
    for other in (dynmatch.simulate(loaded, start, **settings), loaded.simulate(start, **settings)):
        np.testing.assert_array_equal(other.positions, as_trained.positions)
