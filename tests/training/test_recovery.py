"""The game finds the diffusion constant from a wrong start value, in the simplest case there is.

Sites too far apart to meet: nothing but their displacements tells the classifier what is wrong.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynmatch.dynamics.dynamics import Dynamics
from dynmatch.potentials.potential import PotentialForm
from dynmatch.training.classifiers.liquid import ClassifierForm
from jax import random

from dynmatch.dynamics import dynamics as engine
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.potentials import potential
from dynmatch.sites.windows import LearningData
from dynmatch.training import game as training

KT, GAMMA, MASS = 2.5, 300.0, 30.0
FORM = PotentialForm(
    cutoff=0.6,
    three_body_cutoff=0.45,
    core=0.2,
    thermal_energy=KT,
    pair_basis=4,
    radial_channels=1,
    hidden=(),
)
SITES = 8
EDGE = 200.0
TIME_STEP = 0.01


def free_motion(kind: str, steps_per_frame: int, frames: int) -> np.ndarray:
    """Positions (frames, 8, 3) of sites that are too far apart to meet."""
    generator = engine.generator(kind, jnp.zeros_like, TIME_STEP, KT)
    truth = Dynamics(*jnp.float32([GAMMA, 1.0, MASS]))
    corners = np.stack(np.unravel_index(np.arange(SITES), (2, 2, 2)), 1) * (EDGE / 2)

    def frame(state, _):
        state = jax.lax.fori_loop(0, steps_per_frame, lambda _, s: generator.step(truth, s), state)
        return state, state.position

    start = generator.init(truth, random.key(3), jnp.asarray(corners, jnp.float32))
    return np.asarray(jax.jit(lambda s: jax.lax.scan(frame, s, None, length=frames))(start)[1])


def test_the_game_recovers_the_friction_of_free_brownian_sites():
    """From twice gamma to within 5 %, three standard deviations over the seeds or more."""
    kind = "bd"
    every, frames = 30, 8000
    offsets = np.array([0, 1, 3])
    cut = int(0.85 * frames)
    motion = free_motion(kind, every, frames)
    data = LearningData(
        frames=motion,
        means=motion,
        spacing=every * TIME_STEP,
        offsets=offsets,
        starts=np.arange(cut),
        held_out=np.arange(cut + offsets[-1], frames - offsets[-1]),
        box=np.full(3, EDGE),
    )
    form = ClassifierForm(
        cutoff=0.6, inner=0.2, channels=1, scalars=1, vectors=4, tensors=1, hidden=(16,)
    )
    plan = RolloutPlan(
        kind=kind,
        form=FORM,
        kT=KT,
        box=(EDGE,) * 3,
        time_step=TIME_STEP,
        lag_steps=(every, 2 * every),
        gradient_steps=every,
        damping_time=0.25,
        rebuild=every,
        chunk=32,
    )
    updates = 200
    settings = training.GameSettings(
        windows=32,
        renewal=0.0,
        reference_windows=64,
        classifier_steps=5,
        classifier_rate=1e-3,
        penalty=1.0,
        pair_rate=0.0,
        radial_rate=0.0,
        network_rate=0.0,
        dynamics_rate=0.05,
        updates=updates,
        roughness=0.0,
        freeze=(),
    )
    seen, scale = training.prepare_reference(form, data)
    # without neighbours their moments are constant
    scale = jax.tree.map(lambda x: jnp.where(x > 0, x, 1.0), scale)
    game = training.make_game(plan, form, settings, scale)
    wrong = {"gamma": 2 * GAMMA, "alpha": 1.0, "mass": 2 * MASS}
    parameters = {
        "potential": potential.initialise(FORM, random.key(4)),
        "dynamics": {name: jnp.log(jnp.float32(value)) for name, value in wrong.items()},
    }
    state = game.init(random.key(5), parameters, seen)
    for _ in range(updates):
        state, metrics = game.update(state, seen, jnp.float32(1.0))
    found = training.dynamics_of(state.averaged)
    assert float(found.gamma / found.alpha) == pytest.approx(GAMMA, rel=0.05)
    assert float(metrics["score_gap_smoothed"]) < 2 * float(metrics["gap_floor"])
