"""A short training and a short simulation on as many devices as asked for: run by test_devices.

python -m tests.helpers.some_devices DEVICES FILE
"""

import sys

import numpy as np

from dynmatch.runtime.jax_setup import configure


def train(dynamics: str, types: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Parameters, the values of the dynamics among them, and metrics after two updates on frames of
    a jittered lattice."""
    import jax
    import jax.numpy as jnp

    from dynmatch.settings import TrainingSettings
    from tests.helpers.games import small_game

    small = small_game(
        dynamics, TrainingSettings(windows=4, aa_windows=4, renewal=0.5), names=types
    )
    state = small.state
    for update in range(2):
        state, metrics = small.game.update(state, small.drawn(update), jnp.float32(1.0))
    values = jax.tree.map(jnp.exp, state.parameters["dynamics"])
    potential, positions = state.parameters["potential"], state.replicas.position
    leaves = jax.tree.leaves((values, potential, positions, metrics))
    used = len(state.replicas.position.sharding.device_set)
    found = {f"{dynamics} {n}": np.asarray(x) for n, x in enumerate(leaves)}
    return found | {"devices": used}


def simulate() -> dict[str, np.ndarray]:
    """Positions of two replicas of 216 sites, which need neighbour lists."""
    from dynmatch.simulation import run as simulation
    from tests.helpers.models import grid, soft_model
    from tests.simulation.test_run import run

    simulation.FRAMES_PER_CHUNK = 5
    return {"simulated": run(soft_model(), grid(6, 1.87), None, length=0.1).positions}


if __name__ == "__main__":
    configure("cpu", int(sys.argv[1]))
    import jax

    # compiling takes longer than running
    jax.config.update("jax_disable_most_optimizations", True)
    np.savez(sys.argv[2], **train("gle", ("A", "B")), **simulate())
