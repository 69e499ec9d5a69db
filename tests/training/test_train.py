"""A training that is killed, slowed down or cut off; and one that diverges."""

import time
from dataclasses import replace

import jax
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.settings import (
    ClassifierSettings,
    LangevinSettings,
    PotentialSettings,
    Rates,
    StartSettings,
    TrainingSettings,
)
from dynmatch.training import play
from dynmatch.training.game import Game
from dynmatch.training.train import STRUCTURE_FRICTION, prepare, train
from tests.helpers.games import lattice_trajectory

pytestmark = pytest.mark.usefixtures("compilation_cache", "quick_compilation")

POTENTIAL = PotentialSettings(
    cutoff=0.6, pair_basis=12, three_body_cutoff=0.45, radial_channels=1, degree=1, hidden=()
)
SETTINGS = TrainingSettings(
    lags=(0.5,),
    updates=4,
    windows=2,
    aa_windows=4,
    start=StartSettings(updates=3, replicas=2),
    classifier=ClassifierSettings(steps=2, hidden=(4,), channels=2),
    ld=LangevinSettings(time_step=0.01),
)


@pytest.fixture(scope="module")
def trajectory():
    """Sites that jump about their lattice nodes, 60 ps."""
    return lattice_trajectory(600)


@pytest.fixture(scope="module")
def unbroken(trajectory):
    return train(trajectory, "ld", 300.0, POTENTIAL, SETTINGS)


def assert_same(first, second):
    """Bit for bit, and with the same history but for the minutes."""
    for a, b in (
        (first.model.parameters, second.model.parameters),
        (first.model.values, second.model.values),
    ):
        assert jax.tree.all(jax.tree.map(np.array_equal, a, b))
    for before, after in zip(first.history, second.history, strict=True):
        assert {**before, "minutes": 0} == {**after, "minutes": 0}


class Killed(BaseException):
    pass


def test_a_killed_training_ends_as_an_unbroken_one(trajectory, unbroken, tmp_path, monkeypatch):
    update, calls = Game.update, []

    def deadly(self, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return update(self, *arguments)

    monkeypatch.setattr(play, "CHECKPOINT_UPDATES", 1)
    monkeypatch.setattr(Game, "update", deadly)
    with pytest.raises(Killed):
        train(trajectory, "ld", 300.0, POTENTIAL, SETTINGS, folder=tmp_path)
    monkeypatch.setattr(Game, "update", update)
    resumed = train(trajectory, "ld", 300.0, POTENTIAL, SETTINGS, folder=tmp_path)
    assert_same(unbroken, resumed)
    assert resumed.start[-1]["rdf_error"] == unbroken.start[-1]["rdf_error"]


def test_a_slow_machine_gives_the_same_result(trajectory, unbroken, monkeypatch):
    """Every update takes half a second longer: with budgets in updates nothing changes."""
    update = Game.update

    def slow(self, *arguments):
        time.sleep(0.5)
        return update(self, *arguments)

    monkeypatch.setattr(Game, "update", slow)
    assert_same(unbroken, train(trajectory, "ld", 300.0, POTENTIAL, SETTINGS))


def test_a_cap_on_the_wall_time_is_said(trajectory, caplog):
    """It is looked at before the first update as well."""
    capped = train(trajectory, "ld", 300.0, POTENTIAL, replace(SETTINGS, minutes=1e-6))
    assert capped.ended_by == "minutes"
    assert capped.status == "cut off at 0 of 4 updates"
    assert "leave out training.minutes" in caplog.text


def test_a_longer_budget_goes_on_where_the_cap_cut_it_off(trajectory, unbroken, tmp_path):
    train(trajectory, "ld", 300.0, POTENTIAL, replace(SETTINGS, minutes=1e-6), folder=tmp_path)
    assert_same(unbroken, train(trajectory, "ld", 300.0, POTENTIAL, SETTINGS, folder=tmp_path))


def test_whole_trajectories_move_a_network_without_a_structural_start(trajectory):
    """The recipe of presets/whole-trajectory.yaml in short: 21 frames a window, potential from
    -kB T ln g(r), every group of parameters learned from the windows alone."""
    settings = replace(
        SETTINGS, lags=(0.1,) * 20, updates=2, start=replace(SETTINGS.start, updates=0)
    )
    form = replace(POTENTIAL, hidden=(3,))
    begun = train(trajectory, "ld", 300.0, form, replace(settings, minutes=1e-6)).model
    made = train(trajectory, "ld", 300.0, form, settings)
    assert [row["update"] for row in made.history if row["phase"] == "game"] == [1, 2]
    moved = jax.tree.map(
        lambda a, b: bool(np.any(np.asarray(a) != np.asarray(b))),
        (begun.parameters, begun.values),
        (made.model.parameters, made.model.values),
    )
    assert all(jax.tree.leaves(moved[0])), moved
    assert moved[1]["gamma"] and moved[1]["mass"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(made.model.parameters))


def test_a_game_on_single_frames_learns_a_potential_and_leaves_the_dynamics(trajectory):
    settings = replace(SETTINGS, roughness=0.0)
    trained = train(trajectory, "ld", 300.0, POTENTIAL, settings, structure_only=True)
    values = trained.model.values
    mass = float(np.mean(trajectory.masses))
    assert values["gamma"] / values["mass"] == pytest.approx(STRUCTURE_FRICTION, rel=1e-5)
    assert values["alpha"] == 1.0
    assert values["mass"] == pytest.approx(mass, rel=1e-5)
    first, last = trained.history[0], trained.history[-1]
    assert first["gamma_over_alpha"] == last["gamma_over_alpha"]
    assert first["roughness"] != last["roughness"]


@pytest.mark.parametrize("structure_only", [False, True])
def test_a_game_is_prepared_from_data_and_settings(trajectory, structure_only):
    """Its windows, its plan, and the logarithms that the dynamics starts from."""
    settings = replace(SETTINGS, freeze=("m",), ld=replace(SETTINGS.ld, windows=3))
    prepared = prepare(trajectory, "ld", 300.0, POTENTIAL, settings, 1, structure_only)
    plan, game = prepared.game.plan, prepared.game
    assert game.settings.windows == 3
    begin = prepared.initial["dynamics"]
    assert np.exp(begin["mass"]) == pytest.approx(prepared.scale.mass, rel=1e-6)
    if structure_only:
        assert (plan.lag_steps, plan.skipped, plan.learned) == ((), 100, ())
        assert set(game.freeze) == {"gamma", "alpha", "mass"}
        assert len(prepared.data.offsets) == 1
        assert np.exp(begin["gamma"]) == pytest.approx(5.0 * prepared.scale.mass, rel=1e-6)
    else:
        assert (plan.lag_steps, plan.skipped, plan.learned) == ((50,), 0, ("gamma", "mass"))
        assert game.freeze == ("mass",)
        assert len(prepared.data.offsets) == 2


def test_divergence_is_met_with_smaller_rates_and_then_said(trajectory, caplog):
    """A step of ln gamma by some thousands leaves the range of numbers at every attempt."""
    settings = replace(SETTINGS, rates=Rates(dynamics=1e5), start=StartSettings(updates=0))
    with pytest.raises(DynmatchError, match=r"diverged at update \d+ for the third time.*lower"):
        train(trajectory, "ld", 300.0, POTENTIAL, settings)
    assert caplog.text.count("rates halved") == play.SECOND_CHANCES


def test_an_unknown_dynamics_is_refused_by_name(trajectory):
    with pytest.raises(DynmatchError, match=r"'xd' is unknown; there are bd, ld, gle"):
        train(trajectory, "xd")
