"""A training with memory on molecules of two types of sites: short, killed, and on disk."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from dynmatch import model_file
from dynmatch.settings import (
    ClassifierSettings,
    MemorySettings,
    PotentialSettings,
    StartSettings,
    TrainingSettings,
)
from dynmatch.sites.topology import SiteTopology
from dynmatch.training import play
from dynmatch.training.game import Game
from dynmatch.training.train import train
from tests.helpers.games import lattice_trajectory

pytestmark = pytest.mark.usefixtures("compilation_cache", "quick_compilation")

POTENTIAL = PotentialSettings(
    cutoff=0.6, pair_basis=10, three_body_cutoff=0.45, radial_channels=1, degree=1, hidden=()
)
UPDATES = 3
SETTINGS = TrainingSettings(
    aa_windows=4,
    start=StartSettings(updates=2, replicas=2),
    classifier=ClassifierSettings(steps=2, hidden=(4,), channels=2),
    gle=MemorySettings(
        time_step=0.01,
        exponentials=2,
        cosines=1,
        lags=(0.1, 0.1, 0.2),
        windows=2,
        updates=UPDATES,
    ),
)
MASSES = {"A": 15.0, "B": 30.0}


@pytest.fixture(scope="module")
def trajectory():
    """Nine chains A-B-A along the rows of a lattice, whose sites jump about their nodes, 30 ps."""
    names = tuple("ABA" * 9)
    bonds = tuple((i, i + 1) for i in range(27) if i % 3 < 2)
    residues = tuple(i // 3 for i in range(27))
    return replace(
        lattice_trajectory(300),
        topology=SiteTopology(names, residues, ("M",) * 9, bonds),
        masses=np.array([MASSES[name] for name in names]),
    )


@pytest.fixture(scope="module")
def trained(trajectory):
    return train(trajectory, "gle", 300.0, POTENTIAL, SETTINGS)


def test_each_type_has_a_kernel_of_its_own(trained):
    """Everything but mass and alpha has moved, and is finite; the bonds are there."""
    values = trained.model.values
    assert values["strength"].shape == values["time"].shape == (2, 2)
    assert values["cosine"].shape == (2, 1)
    np.testing.assert_allclose(values["mass"], [15.0, 30.0], rtol=1e-6)
    assert values["alpha"] == 1.0
    for name in trained.model.equation.carried:
        assert np.isfinite(values[name]).all()
        assert (np.asarray(values[name])[0] != np.asarray(values[name])[1]).all()
    assert len(trained.history) == UPDATES
    assert {kind.names for kind in trained.model.potential.term("bonded").kinds} >= {("A", "B")}


def test_it_comes_back_from_disk_with_its_modes_in_order(trained, trajectory, tmp_path):
    path = tmp_path / "model.yaml"
    model_file.save(path, tmp_path / "model.npz", trained.model, trajectory.topology, {})
    again = model_file.load(path)
    assert again.equation == trained.model.equation
    assert (np.diff(again.values["time"], axis=1) <= 0).all()
    t = np.linspace(0, 1, 20)
    kernels = (one.equation.kernel(one.values, t) for one in (trained.model, again))
    np.testing.assert_allclose(*kernels, rtol=1e-6)


def test_a_killed_training_ends_as_an_unbroken_one(trajectory, trained, tmp_path, monkeypatch):
    """Bit for bit."""
    update, calls = Game.update, []

    class Killed(BaseException):
        pass

    def deadly(self, *arguments):
        calls.append(1)
        if len(calls) == UPDATES:
            raise Killed
        return update(self, *arguments)

    monkeypatch.setattr(play, "CHECKPOINT_UPDATES", 1)
    monkeypatch.setattr(Game, "update", deadly)
    with pytest.raises(Killed):
        train(trajectory, "gle", 300.0, POTENTIAL, SETTINGS, folder=tmp_path)
    monkeypatch.setattr(Game, "update", update)
    resumed = train(trajectory, "gle", 300.0, POTENTIAL, SETTINGS, folder=tmp_path)
    for name, value in trained.model.values.items():
        np.testing.assert_array_equal(resumed.model.values[name], value)
    same = jax.tree.map(np.array_equal, resumed.model.parameters, trained.model.parameters)
    assert jax.tree.all(same)
