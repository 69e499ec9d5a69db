"""A training that is killed goes on as if nothing had happened; one that diverges says so."""

import jax
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.simulation import run as simulation
from dynmatch.training import train as loop
from dynmatch.workflow.config import complete
from tests.simulation.test_simulation import grid, soft_model


@pytest.fixture(scope="module", autouse=True)
def compilation_cache(tmp_path_factory):
    """The same program is compiled for every training here: once is enough."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("cache")))
    yield
    jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    """60 ps of a soft fluid of 27 sites under Langevin dynamics."""
    return simulation.simulate(
        soft_model(),
        grid(3, 1.21),
        replicas=1,
        length=60.0,
        equilibration=1.0,
        frame_spacing=0.1,
        seed=4,
        folder=tmp_path_factory.mktemp("reference"),
    )


@pytest.fixture
def settings(monkeypatch):
    """Small, and with a checkpoint after every update."""
    config = complete({"run": "test", "systems": {"water": {"kind": "water"}}})
    system = config["systems"]["water"]
    training = system["training"]
    training.update(lags=[0.5], updates=4, windows=2, aa_windows=4)
    training["start"].update(updates=3, replicas=2)
    training["classifier"]["steps"] = 2
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    return system["potential"], training


def train(trajectory, settings, folder):
    return loop.train(trajectory, "ld", 300.0, *settings, 1, folder)


class Killed(BaseException):
    pass


def test_killed_training_ends_as_an_unbroken_one(trajectory, settings, tmp_path, monkeypatch):
    """On one CPU thread, bit for bit, and with the same history but for the minutes."""
    unbroken = train(trajectory, settings, tmp_path / "unbroken")

    make_game = loop.training.make_game

    def deadly(*args):
        game = make_game(*args)
        calls = []

        def update(*arguments):
            calls.append(1)
            if len(calls) == 3:
                raise Killed
            return game.update(*arguments)

        return game._replace(update=update)

    monkeypatch.setattr(loop.training, "make_game", deadly)
    with pytest.raises(Killed):
        train(trajectory, settings, tmp_path / "killed")
    monkeypatch.setattr(loop.training, "make_game", make_game)
    resumed = train(trajectory, settings, tmp_path / "killed")

    assert jax.tree.all(
        jax.tree.map(np.array_equal, unbroken.model.parameters, resumed.model.parameters)
    )
    assert (resumed.model.gamma, resumed.model.mass) == (unbroken.model.gamma, unbroken.model.mass)
    for before, after in zip(unbroken.history, resumed.history, strict=True):
        assert {**before, "minutes": 0} == {**after, "minutes": 0}
    assert resumed.start[-1]["rdf_error"] == unbroken.start[-1]["rdf_error"]


def test_game_on_single_frames_learns_a_potential_and_leaves_the_dynamics(
    trajectory, settings, tmp_path
):
    settings[1]["roughness"] = 0.0
    trained = loop.train(trajectory, "ld", 300.0, *settings, 1, tmp_path, structure_only=True)
    model = trained.model
    mass = float(np.mean(trajectory.masses))
    assert model.gamma / model.mass == pytest.approx(loop.STRUCTURE_FRICTION, rel=1e-5)
    assert (model.alpha, model.mass) == (1.0, pytest.approx(mass, rel=1e-5))
    first, last = trained.history[0], trained.history[-1]
    assert first["gamma"] == last["gamma"]
    assert first["roughness"] != last["roughness"]


def test_divergence_is_met_with_smaller_rates_and_then_said(trajectory, settings, tmp_path, caplog):
    """A Langevin step far beyond stability explodes at every attempt."""
    settings[1]["ld"]["time_step"] = 0.25
    settings[1]["start"]["updates"] = 0
    with pytest.raises(DynmatchError, match=r"diverged at update \d+ for the third time.*lower"):
        train(trajectory, settings, tmp_path)
    assert caplog.text.count("rates halved") == loop.SECOND_CHANCES
