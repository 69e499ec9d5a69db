"""A short training and a short simulation on as many devices as asked for: run by test_devices.

python some_devices.py DEVICES FILE
"""

import sys

import numpy as np

from dynmatch.runtime.jax_setup import configure


def train() -> dict[str, np.ndarray]:
    """Parameters and metrics after two updates on frames of a jittered lattice."""
    import jax
    import jax.numpy as jnp

    from dynmatch.settings import ClassifierSettings, LangevinSettings, Rates, TrainingSettings
    from tests.helpers.games import small_game

    rate = 1e-3
    settings = TrainingSettings(
        updates=20,
        windows=4,
        aa_windows=4,
        renewal=0.5,
        classifier=ClassifierSettings(steps=2, rate=rate, penalty=1.0),
        rates=Rates(pair=rate, radial=rate, network=rate, dynamics=1e-2),
        roughness=rate,
        ld=LangevinSettings(time_step=0.005),
    )
    small = small_game("ld", settings, lag_steps=20)
    state = small.state
    for number in (1, 2):
        state, metrics = small.game.update(state, small.drawn(number), jnp.float32(1.0))
    leaves = jax.tree.leaves((state.parameters, state.replicas.position, metrics))
    used = len(state.replicas.position.sharding.device_set)
    return {f"{n}": np.asarray(x) for n, x in enumerate(leaves)} | {"devices": used}


def simulate() -> dict[str, np.ndarray]:
    """Positions of two replicas of 216 sites, which need neighbour lists."""
    import jax

    from dynmatch.simulation import run
    from tests.helpers.fluids import fluid
    from tests.helpers.models import grid, model_of

    run.FRAMES_PER_CHUNK = 5
    potential = fluid(basis=10, degree=1)
    model = model_of(potential, potential.initialise(jax.random.key(1)))
    moved = run.simulate(model, grid(6, 1.87), length=0.1, frame_spacing=0.02, replicas=2)
    return {"simulated": moved.positions}


if __name__ == "__main__":
    configure("cpu", int(sys.argv[1]))
    import jax

    # compiling takes longer than running
    jax.config.update("jax_disable_most_optimizations", True)
    np.savez(sys.argv[2], **train(), **simulate())
