"""The game finds what sites that never meet are moved by, from wrong start values.

Nothing but their displacements tells the classifier what is wrong, and all is known in closed form.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy.linalg import expm

from dynmatch.dynamics import memory
from dynmatch.dynamics.registry import equation_of
from dynmatch.dynamics.rollout import RolloutPlan
from dynmatch.potentials import pair, three_body
from dynmatch.potentials.sum import Potential
from dynmatch.settings import (
    BrownianSettings,
    ClassifierSettings,
    LangevinSettings,
    MemorySettings,
    Rates,
    TrainingSettings,
)
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Windows, windows_of
from dynmatch.training.classifiers import neighbours
from dynmatch.training.convergence import MSD_OFF, late_mean, problems_of, status_of
from dynmatch.training.game import Game, standard_for
from dynmatch.training.state import draw

KT = 2.5
SITES = 8
EDGE = 200.0
CORNERS = np.stack(np.unravel_index(np.arange(SITES), (2, 2, 2)), 1) * (EDGE / 2)
STEP = 0.01
"""Of time, between frames of the reference as between steps of a model, ps."""
FRAMES = 40_000


def langevin_motion(gamma: float, mass: float) -> np.ndarray:
    """(F, 8, 3), nm: free Langevin particles, exactly: v and x of each step are normal, with
    v' = e v + ..., e = exp(-gamma dt/m)."""
    rng = np.random.default_rng(3)
    rate, v2 = gamma / mass, KT / mass
    e = np.exp(-rate * STEP)
    # covariance of (v', x' - x) given v
    vv = v2 * (1 - e**2)
    xx = v2 / rate**2 * (2 * rate * STEP - 3 + 4 * e - e**2)
    vx = v2 / rate * (1 - e) ** 2
    root = np.linalg.cholesky([[vv, vx], [vx, xx]])
    noise = rng.normal(size=(FRAMES, SITES, 3, 2)) @ root.T
    v, x = np.sqrt(v2) * rng.normal(size=(SITES, 3)), CORNERS.astype(float)
    seen = np.empty((FRAMES, SITES, 3))
    for step in range(FRAMES):
        x = x + v * (1 - e) / rate + noise[step, ..., 1]
        v = e * v + noise[step, ..., 0]
        seen[step] = x
    return seen


def motion_with_memory(values: dict) -> np.ndarray:
    """(F, 8, 3), nm: free particles of a generalised Langevin equation, exactly.

    y = (x, u) is a linear process, dy = -G y dt + noise: the covariance of a step is that of Van
    Loan's block matrix (doi:10.1109/TAC.1978.1101743)."""
    drift = memory.Equation.of_values(STEP, values).drift(values)[0]
    size = len(drift) + 1
    g = np.zeros((size, size))
    g[0, 1], g[1:, 1:] = 1 / np.sqrt(values["mass"][0]), -drift
    spread = np.zeros((size, size))
    spread[1:, 1:] = KT * (drift + drift.T)
    blocks = expm(STEP * np.block([[-g, spread], [np.zeros_like(g), g.T]]))
    onward = blocks[size:, size:].T
    covariance = onward @ blocks[:size, size:]
    root = np.linalg.cholesky((covariance + covariance.T) / 2 + 1e-18 * np.eye(size))
    rng = np.random.default_rng(3)
    y = np.zeros((size, SITES, 3))
    y[0], y[1:] = CORNERS, np.sqrt(KT) * rng.normal(size=(size - 1, SITES, 3))
    seen = np.empty((FRAMES, SITES, 3))
    for step in range(FRAMES):
        noise = rng.normal(size=y.shape)
        y = np.tensordot(onward, y, 1) + np.tensordot(root, noise, 1)
        seen[step] = y[0]
    return seen


def brownian_motion(gamma: float) -> np.ndarray:
    steps = np.random.default_rng(3).normal(size=(FRAMES, SITES, 3))
    return CORNERS + np.cumsum(np.sqrt(2 * KT * STEP / gamma) * steps, 0)


def game_of(
    kind: str,
    motion: np.ndarray,
    lags: list[float],
    updates: int,
    rate: float = 0.0,
    freeze=(),
    cosines: int = 1,
) -> tuple[Game, Windows]:
    """The game on windows of `motion`, and these."""
    topology = independent_sites(["W"] * SITES, "R")
    time = np.arange(len(motion)) * STEP
    trajectory = SiteTrajectory(
        motion.astype(np.float32), time, np.full(SITES, 1.0), topology, np.full(3, EDGE)
    )
    data = windows_of(trajectory, lags)
    names = topology.type_names
    potential = Potential(
        (pair.Form(names, 0.6, KT, 4, (0.2,)), three_body.Form(names, 0.45, KT, 1, 1, ())),
        names,
        KT,
    )
    settings = TrainingSettings(
        windows=32,
        aa_windows=128,
        updates=updates,
        rates=Rates(pair=1e-9, radial=1e-9, network=1e-9, dynamics=rate),
        roughness=0.0,
        classifier=ClassifierSettings(steps=5, rate=0.003, hidden=(16,), channels=1),
        bd=BrownianSettings(time_step=STEP),
        ld=LangevinSettings(time_step=STEP),
        gle=MemorySettings(time_step=STEP, exponentials=1, cosines=cosines),
    )
    equation = equation_of(kind).of(getattr(settings, kind))
    plan = RolloutPlan(
        equation,
        potential,
        topology,
        KT,
        (EDGE,) * 3,
        tuple(round(lag / STEP) for lag in lags),
        learned=equation.carried,
        rebuild=100,
        chunk=32,
    )
    form = neighbours.Form(
        topology, cutoff=0.6, inner=0.2, channels=1, scalars=1, vectors=4, tensors=1, hidden=(16,)
    )
    standard = standard_for(form, data.box, data.take(data.starts[::100]))
    return Game(plan, form, settings, freeze, standard), data


def play(
    game: Game, data: Windows, start: dict
) -> tuple[dict[str, float], list[dict], dict[str, np.ndarray]]:
    """What trajectories determine of the dynamics after a game, by column; its history; and all
    values."""
    settings, equation, history = game.settings, game.plan.equation, []
    parameters = {
        "potential": game.plan.potential.initialise(random.key(4)),
        "dynamics": {name: jnp.log(jnp.asarray(v, jnp.float32)) for name, v in start.items()},
    }
    state = game.init(random.PRNGKey(5), parameters, draw(data, settings, 1, 0))
    for number in range(1, settings.updates + 1):
        state, seen = game.update(state, draw(data, settings, 1, number), jnp.float32(1.0))
        history.append({name: float(value) for name, value in seen.items()})
    values = {n: np.exp(np.asarray(v)) for n, v in state.averaged["dynamics"].items()}
    found = equation.identifiable(values, KT)
    return {name: float(np.squeeze(value)) for name, value in found.items()}, history, values


@pytest.fixture(scope="module", autouse=True)
def quick(quick_compilation):
    yield


def test_friction_and_mass_of_langevin_sites():
    """From twice gamma and half of m, m/gamma = 0.1 ps, on lags about that: both to 4 %."""
    start = {"gamma": [600.0], "alpha": 1.0, "mass": [15.0]}
    motion = langevin_motion(300.0, 30.0)
    found, *_ = play(*game_of("ld", motion, [0.05, 0.1, 0.3], 60, 0.2), start)
    assert found["gamma_over_alpha"] == pytest.approx(300.0, rel=0.04)
    assert found["mass_over_alpha2"] == pytest.approx(30.0, rel=0.04)


SHORT_LAGS = [0.02, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64]


def one_of_each(gamma: float, strength: float, cosine: float, mass: float) -> dict:
    """Values of a memory of one exponential of 0.3 ps and one cosine of 20 rad/ps."""
    modes = {"strength": strength, "time": 0.3, "cosine": cosine, "rate": 4.0, "frequency": 20.0}
    of_type = {"gamma": np.array([gamma]), "mass": np.array([mass])}
    return {name: np.array([[value]]) for name, value in modes.items()} | of_type | {"alpha": 1.0}


@pytest.fixture(scope="module")
def swinging():
    """What has one exponential and one cosine for its memory, and its motion."""
    truth = one_of_each(gamma=40.0, strength=60.0, cosine=150.0, mass=18.0)
    return truth, motion_with_memory(truth)


def test_the_kernel_of_sites_with_memory(swinging):
    """From strengths and friction wrong by a factor of two: the kernel within 5 % of K(0)
    everywhere, its integral within 3 %."""
    truth, motion = swinging
    wrong = {"gamma": 2.0, "strength": 0.5, "cosine": 2.0, "time": 1.5, "frequency": 1.3}
    start = {name: wrong.get(name, 1.0) * value for name, value in truth.items()}
    game, data = game_of("gle", motion, SHORT_LAGS, 120, 0.3)
    found, _, values = play(game, data, start)
    equation = game.plan.equation
    assert found["gamma_over_alpha"] == pytest.approx(float(equation.friction(truth)[0]), rel=0.03)
    time = np.linspace(0, 1.5, 300)
    true, learned = (equation.kernel(each, time)[0] for each in (truth, values))
    np.testing.assert_allclose(learned, true, atol=0.05 * true[0])


def test_a_memory_with_too_few_modes_is_told(swinging):
    """One exponential cannot swing: the verdict names a lag at which the motion stays off."""
    truth, motion = swinging
    start = truth | {name: np.zeros((1, 0)) for name in ("cosine", "rate", "frequency")}
    game, data = game_of("gle", motion, SHORT_LAGS, 60, 0.3, cosines=0)
    _, history, _ = play(game, data, start)
    assert status_of(problems_of(history, 60)).startswith("MSD at ")


def test_sites_without_memory_are_recognised():
    """Langevin sites, given a memory that is not there: the friction that does not act within some
    steps ends below 3 % of all. The VACF, in closed form for the learned values, is exp(-t gamma/m)
    within 0.03, and the friction right within 6 %: 400 ps of 8 sites know it to some 2 %."""
    gamma, mass = 300.0, 30.0
    start = one_of_each(gamma=150.0, strength=20.0, cosine=40.0, mass=mass)
    game, data = game_of("gle", langevin_motion(gamma, mass), SHORT_LAGS, 80, 0.3)
    equation = game.plan.equation
    assert 1 - 150.0 / equation.friction(start)[0] > 0.5  # most of the start's is memory
    found, _, values = play(game, data, start)
    assert found["gamma_over_alpha"] == pytest.approx(gamma, rel=0.06)
    late = values | {"strength": values["strength"] * (values["time"] > 3 * STEP)}
    slow = equation.friction(late)[0] - values["gamma"][0]
    assert abs(slow) < 0.03 * found["gamma_over_alpha"]
    drift = equation.drift(values)[0]
    time = np.linspace(0, 1, 101)
    learned = [expm(-drift * t)[0, 0] for t in time]
    np.testing.assert_allclose(learned, np.exp(-time * gamma / mass), atol=0.03)


def test_a_model_that_cannot_match_all_lags_weighs_them_as_the_classifier_sees_them():
    """Brownian sites for a truth with inertia, two lags: where the score of a classifier that is
    quadratic in whitened displacements is stationary, D = tr(M)/tr(M^2), M the covariance of the
    model's displacements for D = 1, whitened by that of the reference: 0.42 of D0, where each lag
    alone would give 0.37 and 0.89."""
    gamma, mass, lags = 300.0, 60.0, np.array([0.2, 1.8])
    tau, d0 = mass / gamma, KT / gamma
    ends = np.cumsum(lags)

    def msd(t):
        return 2 * d0 * (t - tau * (1 - np.exp(-t / tau)))

    cross = (msd(ends[1]) - msd(lags[0]) - msd(lags[1])) / 2
    covariance = np.array([[msd(lags[0]), cross], [cross, msd(lags[1])]])
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    model = whitening.T @ np.diag(2 * lags) @ whitening
    expected = np.trace(model) / np.trace(model @ model)
    assert expected / d0 == pytest.approx(0.42, abs=0.01)
    start = {"gamma": [gamma], "alpha": 1.0}
    found, *_ = play(*game_of("bd", langevin_motion(gamma, mass), lags.tolist(), 50, 0.4), start)
    assert found["d0_nm2_per_ps"] == pytest.approx(expected, rel=0.1)


def test_a_diffusion_constant_that_is_5_per_cent_off_is_seen_and_said():
    """Brownian sites that do not learn, at D0, and 5 % off in either direction: the mean square
    displacement is known to some 0.9 % (30 updates of 256 sites), and 1.5 % are let pass."""
    game, data = game_of("bd", brownian_motion(300.0), [0.3], 60, freeze=("gamma",))
    said = []
    for factor in (1.0, 1.05, 0.95):
        _, history, _ = play(game, data, {"gamma": [300.0 / factor], "alpha": 1.0})
        off, error = late_mean(history, f"{MSD_OFF}0.3ps", 60)
        assert 0.003 < error < 0.02
        assert off == pytest.approx(factor - 1, abs=3 * 0.009)
        said.append(status_of(problems_of(history, 60)))
    assert "MSD" not in said[0]
    assert said[1].startswith("MSD at 0.3 ps is ") and "% too large" in said[1]
    assert said[2].startswith("MSD at 0.3 ps is ") and "% too small" in said[2]
