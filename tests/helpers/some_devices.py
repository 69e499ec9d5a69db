"""A short training and a short simulation on as many devices as asked for: run by test_devices.

python some_devices.py DEVICES FILE
"""

import sys

import numpy as np

from dynmatch.runtime.jax_setup import configure

EDGE = 1.25
WINDOWS = 4


def small_form():
    """Little to compile."""
    from dynmatch.potentials.potential import PotentialForm

    return PotentialForm(
        0.6, 0.45, 0.25, 2.5, pair_basis=10, radial_channels=1, degree=1, hidden=()
    )


def small_game(kind: str, gamma: float, lag_steps: int, frames: int, settings):
    """A game on frames of a jittered lattice: its functions, its first state, the reference, and
    the frames (F, N, 3) at which windows of the reference start."""
    import jax
    import jax.numpy as jnp
    from dynmatch.training.classifiers.liquid import ClassifierForm

    from dynmatch.dynamics.rollout import RolloutPlan
    from dynmatch.sites.windows import LearningData
    from dynmatch.training import game as training
    from tests.helpers.fluids import jittered_lattice, random_parameters

    rng = np.random.default_rng(1)
    x = np.stack([jittered_lattice(rng, EDGE, 0.08) for _ in range(frames)]).astype(np.float32)
    starts, held_out = np.arange(frames - 10), np.arange(frames - 10, frames - 5)
    data = LearningData(x, x, 0.1, np.array([0, 1]), starts, held_out, np.full(3, EDGE))
    form = small_form()
    plan = RolloutPlan(kind, form, 2.5, (EDGE,) * 3, 0.005, (lag_steps,), 10, 0.1, neighbours=26)
    classifier = ClassifierForm(cutoff=0.6, inner=0.2, channels=2, hidden=(4,))
    reference, scale = training.prepare_reference(classifier, data)
    game = training.make_game(plan, classifier, settings, scale)
    dynamics = {"gamma": jnp.log(gamma), "alpha": jnp.log(1.0), "mass": jnp.log(18.0)}
    potential = jax.tree.map(lambda x: x.astype(jnp.float32), random_parameters(form, 1, 0.3))
    state = game.init(jax.random.key(2), {"potential": potential, "dynamics": dynamics}, reference)
    return game, state, reference, x[starts]


def train() -> dict[str, np.ndarray]:
    """Parameters and metrics after two updates on 20 frames of a jittered lattice."""
    import jax
    import jax.numpy as jnp

    from dynmatch.training import game as training

    settings = training.GameSettings(
        WINDOWS, 0.5, 4, 2, 1e-3, 1.0, 1e-3, 1e-3, 1e-3, 1e-2, 20, 1e-3, freeze=()
    )
    game, state, reference, _ = small_game("ld", 300.0, 20, 20, settings)
    for _ in range(2):
        state, metrics = game.update(state, reference, jnp.float32(1.0))
    leaves = jax.tree.leaves((state.parameters, state.replicas.position, metrics))
    used = len(state.replicas.position.sharding.device_set)
    return {f"{n}": np.asarray(x) for n, x in enumerate(leaves)} | {"devices": used}


def simulate() -> dict[str, np.ndarray]:
    """Positions of two replicas of 216 sites, which need neighbour lists."""
    import jax

    from dynmatch.model import Model
    from dynmatch.potentials import potential
    from dynmatch.simulation import run as simulation
    from tests.simulation.test_simulation import grid, run

    simulation.FRAMES_PER_CHUNK = 5
    form = small_form()
    parameters = potential.initialise(form, jax.random.key(1))
    model = Model("ld", form, parameters, 300.0, 1.0, 18.0, 300.0, 0.005)
    return {"simulated": run(model, grid(6, 1.87), None, length=0.1).positions}


if __name__ == "__main__":
    configure("cpu", int(sys.argv[1]))
    import jax

    # compiling takes longer than running
    jax.config.update("jax_disable_most_optimizations", True)
    np.savez(sys.argv[2], **train(), **simulate())
