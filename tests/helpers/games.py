"""Small games for tests: a fluid near a lattice as the reference, and little to compile."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.registry import equation_of
from dynmatch.dynamics.rollout import RolloutPlan, with_capacity
from dynmatch.potentials import pair, three_body
from dynmatch.potentials.sum import Potential
from dynmatch.settings import TrainingSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Windows, windows_of
from dynmatch.training.classifiers import neighbours
from dynmatch.training.game import Game, standard_for
from dynmatch.training.state import GameState, draw
from tests.helpers.fluids import jittered_lattice

EDGE = 1.25
KT = 2.5


class Small(NamedTuple):
    """A game, its first state, and the windows of its reference."""

    game: Game
    state: GameState
    data: Windows

    def drawn(self, update: int):
        return draw(self.data, self.game.settings, 1, update)


def lattice_trajectory(frames: int, names=("W",), spacing: float = 0.1) -> SiteTrajectory:
    """Frames, each for itself, of 27 sites near a lattice that fills the box."""
    rng = np.random.default_rng(1)
    x = np.stack([jittered_lattice(rng, EDGE, 0.08) for _ in range(frames)]).astype(np.float32)
    sites = independent_sites([names[n % len(names)] for n in range(27)], "R")
    time = np.arange(frames) * spacing
    return SiteTrajectory(x, time, np.full(27, 18.0), sites, np.full(3, EDGE))


def small_potential(names=("W",)) -> Potential:
    pairs = len(names) * (len(names) + 1) // 2
    terms = (
        pair.Form(names, 0.6, KT, 10, (0.25,) * pairs),
        three_body.Form(names, 0.45, KT, 1, 1, ()),
    )
    return Potential(terms, names, KT)


def small_game(
    kind: str,
    settings: TrainingSettings,
    lag_steps: int = 20,
    frames: int = 30,
    names=("W",),
    friction: float = 300.0,
    freeze: tuple[str, ...] = (),
) -> Small:
    """A game on frames near a lattice; windows of two frames `lag_steps` steps of 0.005 ps apart,
    which are successive frames of the reference."""
    trajectory = lattice_trajectory(frames, names)
    data = windows_of(trajectory, [trajectory.frame_spacing])
    potential = small_potential(names)
    equation = equation_of(kind).of(getattr(settings, kind))
    plan = RolloutPlan(
        equation,
        potential,
        trajectory.topology,
        KT,
        (EDGE,) * 3,
        (lag_steps,),
        learned=equation.carried,
    )
    plan = with_capacity(plan, trajectory.positions, 3.0)
    form = neighbours.Form(trajectory.topology, cutoff=0.6, inner=0.2, channels=2, hidden=(4,))
    standard = standard_for(form, data.box, data.take(data.starts))
    game = Game(plan, form, settings, freeze, standard)
    types = np.ones(len(names))
    begin = equation.initial(Scale(18.0 * types, friction * types, 15.0 * types))
    rng = np.random.default_rng(1)
    parameters = {
        "potential": jax.tree.map(
            lambda x: jnp.asarray(0.3 * rng.normal(size=x.shape), jnp.float32),
            potential.initialise(jax.random.key(0)),
        ),
        "dynamics": {n: jnp.log(jnp.asarray(v, jnp.float32)) for n, v in begin.items()},
    }
    drawn = draw(data, settings, 1, 0)
    return Small(game, game.init(jax.random.PRNGKey(2), parameters, drawn), data)
