"""Replicas side by side: how often neighbours are looked for, and that none is missed."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.simulation import replicas
from dynmatch.simulation.replicas import FAR, LONGEST_REBUILD, propagator, rebuild_interval
from tests.helpers.fluids import fluid
from tests.helpers.models import grid, model_of, soft_model

pytestmark = pytest.mark.usefixtures("compilation_cache")

FORM = fluid(cores=0.25, kT=2.494, basis=20)


@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("time_step", [0.0005, 0.005, 0.02])
def test_skin_covers_what_sites_move_between_two_searches(dynamics, time_step):
    model = model_of(FORM, {}, dynamics, time_step, friction=415.0)
    steps, skin = rebuild_interval(model)
    moved = model.equation.free_motion(model.bath, model.kT, steps * time_step)
    assert 0.5 * skin == pytest.approx(FAR * moved)
    longer, _ = rebuild_interval(model_of(FORM, {}, dynamics, time_step / 4, friction=415.0))
    assert longer > steps or longer == LONGEST_REBUILD


def test_a_site_that_outruns_the_skin_shortens_the_interval(monkeypatch, caplog):
    """With a skin much too thin, a chunk is done again until no site has gone too far: the same
    trajectory as with lists that are made anew at every step."""
    caplog.set_level("INFO")
    start = grid(6, 1.87)

    def positions(interval):
        monkeypatch.setattr(replicas, "rebuild_interval", lambda model: interval)
        progress, advance = propagator(soft_model(), start, 1, 4, 3, seed=1)
        progress, x, _ = advance(progress)
        return progress, x

    hasty, moved = positions((8, 0.01))
    careful, expected = positions((1, 0.1))
    assert "outran the skin" in caplog.text
    assert hasty.rebuild < 8
    assert careful.rebuild == 1
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_replicas_are_independent_and_begin_at_spread_frames(monkeypatch):
    """Every replica has a key of its own; the same one wherever it is beside others."""
    start = grid(4, 1.25)
    shifted = replace(start, positions=start.positions + np.array([0.0, 0.3])[:, None, None])
    progress, _ = propagator(soft_model(), shifted, 2, 4, 3, seed=1)
    np.testing.assert_allclose(progress.states.position, shifted.positions, atol=1e-6)
    momenta = np.asarray(progress.states.momentum)
    assert abs(np.corrcoef(momenta[0].ravel(), momenta[1].ravel())[0, 1]) < 0.3
    other, _ = propagator(soft_model(), shifted, 2, 4, 3, seed=2)
    assert not jax.tree.all(
        jax.tree.map(np.array_equal, progress.states.momentum, other.states.momentum)
    )
