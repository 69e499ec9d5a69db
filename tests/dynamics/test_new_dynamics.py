"""A new equation of motion: a module, a card in the registry, and a section of the settings.

Its module is `tests.helpers.toys.euler`; nothing else knows of it.
"""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch import model_file
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.registry import DYNAMICS, Card, equation_of
from dynmatch.errors import DynmatchError
from dynmatch.export import lammps, openmm_files
from dynmatch.model import Model
from dynmatch.settings import BrownianSettings, ClassifierSettings, StartSettings, TrainingSettings
from dynmatch.simulation import run as simulation
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.training.train import train
from tests.helpers.games import KT, lattice_trajectory, small_game, small_potential

NAME = "em"
pytestmark = pytest.mark.usefixtures("quick_compilation")


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """`training`, with the section of the new dynamics."""

    em: BrownianSettings = field(default_factory=BrownianSettings)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    card = Card("tests.helpers.toys.euler", "EM", "Euler-Maruyama", velocities=False)
    monkeypatch.setitem(DYNAMICS, NAME, card)


@pytest.fixture
def model() -> Model:
    potential = small_potential()
    equation = equation_of(NAME)(0.005)
    values = equation.initial(Scale(*np.full((3, 1), 300.0)))
    return Model(equation, values, potential, potential.initialise(jax.random.key(0)), 300.0)


def test_without_its_entry_it_is_unknown(monkeypatch):
    monkeypatch.delitem(DYNAMICS, NAME)
    with pytest.raises(DynmatchError, match="'em' is unknown"):
        train(lattice_trajectory(4), NAME)


def test_it_samples_a_harmonic_well_with_the_error_of_its_scheme():
    """kT/k / (1 - a/2) with a = k dt/gamma, which tells it from `bd`; 4 sigma of 12000 numbers."""
    stiffness, gamma, step = 900.0, 300.0, 0.2
    equation = equation_of(NAME)(step)
    x = jnp.zeros((4000, 3))
    found = equation.prepare({"gamma": jnp.array([gamma])}, KT, np.zeros(4000, int))
    state = equation.init(found, None, jax.random.PRNGKey(1), x)
    step_on = jax.jit(lambda _, s: equation.step(found, lambda x: -stiffness * x, s))
    for number in range(60):
        state = step_on(number, state)
    variance = float(np.mean(np.asarray(state.position, np.float64) ** 2))
    expected = KT / stiffness / (1 - 0.5 * stiffness * step / gamma)
    assert variance == pytest.approx(expected, rel=4 * np.sqrt(2 / 12000))


def test_a_game_learns_its_friction():
    """Its tangents move with it: the logarithm of gamma, and nothing else of the dynamics."""
    settings = Settings(
        windows=4,
        aa_windows=8,
        updates=3,
        classifier=ClassifierSettings(steps=2, hidden=(4,), channels=2),
    )
    small = small_game(NAME, settings)
    assert small.game.plan.learned == ("gamma",)
    state, metrics = small.game.update(small.state, small.drawn(1), jnp.float32(1.0))
    before, after = (each.parameters["dynamics"]["gamma"] for each in (small.state, state))
    assert np.isfinite(after).all()
    assert not np.array_equal(before, after)
    assert float(metrics["gamma_over_alpha"]) == pytest.approx(300.0, rel=1e-5)


def walk() -> SiteTrajectory:
    """Sites that diffuse about the nodes of a lattice, 40 ps."""
    start, rng = lattice_trajectory(400), np.random.default_rng(4)
    nodes = start.positions[0].astype(float)
    frames = [nodes]
    for _ in range(399):
        frames.append(nodes + 0.97 * (frames[-1] - nodes) + rng.normal(0, 0.012, nodes.shape))
    return replace(start, positions=np.array(frames, np.float32))


def test_it_trains_from_python():
    settings = Settings(
        lags=(0.1,),
        windows=2,
        aa_windows=4,
        start=StartSettings(updates=0),
        classifier=ClassifierSettings(steps=1, hidden=(4,), channels=2),
        em=BrownianSettings(updates=1),
    )
    trained = train(walk(), NAME, settings=settings)
    assert trained.model.equation.name == NAME
    assert len(trained.history) == 1
    assert trained.model.identifiable()["d0_nm2_per_ps"] > 0


def test_it_simulates(monkeypatch, model):
    """Without velocities, and as far as free diffusion takes sites that hardly meet."""
    monkeypatch.setattr(simulation, "FRAMES_PER_CHUNK", 5)
    run = simulation.simulate(model, lattice_trajectory(2), length=0.08, frame_spacing=0.02)
    assert run.positions.shape == (5, 27, 3)
    assert run.velocities is None
    moved = np.std(run.positions[-1].astype(float) - run.positions[0])
    assert moved == pytest.approx(model.equation.free_motion(model.bath, model.kT, 0.08), rel=0.5)


def test_its_model_file_is_read_again(tmp_path, model):
    topology = lattice_trajectory(1).topology
    path = tmp_path / "model.yaml"
    model_file.save(path, tmp_path / "model.npz", model, topology, {})
    found = model_file.load(path)
    assert found.equation == model.equation
    assert {name: value.tolist() for name, value in found.values.items()} == {"gamma": [300.0]}


@pytest.mark.parametrize(("engine", "name"), [(lammps, "LAMMPS"), (openmm_files, "OpenMM")])
def test_engines_refuse_it_by_name(tmp_path, model, engine, name):
    with pytest.raises(DynmatchError, match=f"{name}.* dynamics em"):
        engine.write(tmp_path, model, lattice_trajectory(1), "test")
    assert not list(tmp_path.iterdir())
