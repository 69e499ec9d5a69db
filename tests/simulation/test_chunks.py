"""The steps of a long run, each by itself."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.simulation import run
from dynmatch.simulation.replicas import Progress, Replicas
from tests.helpers.models import grid, soft_model

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def replicas() -> Replicas:
    """Two replicas of 216 sites, more than all pairs are taken of; frames of 4 steps."""
    return Replicas.of(soft_model(), grid(6, 1.87), count=2, steps=4, frames=2)


@pytest.fixture(scope="module")
def begun(replicas) -> Progress:
    return replicas.begin(seed=1)


def test_a_run_begins_where_the_start_is(replicas, begun):
    assert (begun.done, begun.growths, begun.rebuild) == (0, 0, replicas.rebuild)
    np.testing.assert_array_equal(begun.states.position, replicas.positions)
    assert np.isnan(begun.energies).all()


def test_lists_have_more_room_with_each_growth_and_are_counted_once(replicas):
    first, second = replicas.capacity(0), replicas.capacity(1)
    assert replicas.capacity(0) is first
    assert all(more > less for less, more in zip(first.lists, second.lists, strict=True) if less)


def test_lists_without_room_and_sites_that_outrun_the_skin_are_noticed(replicas, begun):
    """What `sufficient` does again until it is well."""
    capacity = replicas.capacity(0)
    short = capacity._replace(lists=tuple(room and 1 for room in capacity.lists))
    jumpy = replace(replicas, skin=1e-4)
    chunks = [
        jax.jit(each.chunk, static_argnums=(0, 1))(4, room, begun.states)
        for each, room in ((replicas, capacity), (replicas, short), (jumpy, capacity))
    ]
    assert [bool(chunk.enough.all()) for chunk in chunks] == [True, False, True]
    assert [bool(chunk.kept.all()) for chunk in chunks] == [True, True, False]
    positions, velocities = chunks[0].seen
    assert positions.shape == velocities.shape == (2, 2, 216, 3)
    np.testing.assert_array_equal(positions[:, -1], chunks[0].states.position)


def test_trouble_is_named_with_its_place(replicas, begun):
    """Step 8 of the fourth chunk of 8 steps, in the second replica."""
    before = begun._replace(done=3, energies=np.array([1.0, -2.5]))
    x = np.zeros((2, 2, 216, 3))
    sound = replicas.require_sound(x, before, np.array([1.0, 2.0]))
    assert sound.tolist() == [1.0, 2.0]
    x[1, 1, 7, 2] = 1.0
    with pytest.raises(DynmatchError, match=r"step 32 in replica 1: energy 2 .*, 8 steps .* -2"):
        replicas.require_sound(x, before, np.array([1.0, 2.0]))
    with pytest.raises(DynmatchError, match="replica 0: energy nan"):
        replicas.require_sound(0 * x, before, np.array([np.nan, 2.0]))


def test_frames_of_the_equilibration_are_left_out(monkeypatch):
    """Of five chunks the first two; `advance` counts, which is all that is asked of it."""
    monkeypatch.setattr(run, "FRAMES_PER_CHUNK", 3)

    def advance(progress):
        done = progress.done + 1
        return progress._replace(done=done), np.full((1, 3, 1, 3), done), None

    progress = Progress(None, np.zeros(1), 0, 0, 1)
    parts = run.go_on(advance, progress, [], chunks=5, skipped=2, steps=1, resumable=None)
    kept = np.concatenate([part["positions"] for part in parts], 1)
    assert kept[0, :, 0, 0].tolist() == [3, 3, 3, 4, 4, 4, 5, 5, 5]


def test_frames_are_whole_steps_apart():
    model = soft_model(time_step=0.005)
    assert run.steps_of(0.02, model) == 4
    with pytest.raises(DynmatchError, match=r"0\.012 ps is not a multiple .* 0\.005 ps of the ld"):
        run.steps_of(0.012, model)
