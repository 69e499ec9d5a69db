"""Several types of sites: dynamics, what the classifier sees, models on disk and observables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynmatch.dynamics.dynamics import Dynamics
from dynmatch.training.classifiers.liquid import Classifier, ClassifierForm
from scipy.spatial.transform import Rotation

from dynmatch.dynamics import dynamics as engine
from dynmatch.model import Model, load, save
from dynmatch.observables.by_type import bonded, rdf_by_type, rdf_of_types
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.training import game as training
from dynmatch.training.classifiers import liquid as judge
from tests.potentials.test_bonded import topology
from tests.potentials.test_molecular import FORM, parameters_of

pytestmark = pytest.mark.usefixtures("quick_compilation")

KT = 2.494
TYPES = (0, 1, 0, 1, 1, 0)
BOX = np.full(3, 1.5)
JUDGE = ClassifierForm(
    0.7, 0.2, channels=4, hidden=(8,), types=TYPES, linked=((0, 1), (1, 0), (2, 3), (3, 2))
)


def test_each_type_diffuses_with_its_own_friction():
    """Free Brownian sites: MSD = 6 kT alpha/gamma (n - 1/2) dt, 4 % of it within four standard
    errors of 8192 sites times 3 coordinates, sqrt(2/24576) = 0.9 %."""
    gamma, alpha, dt, steps = np.array([100.0, 400.0]), 1.5, 0.01, 40
    types = (0, 1) * 8192
    free = Dynamics(*(jnp.float32(x) for x in (gamma, alpha, gamma)))
    generator = engine.generator("bd", jnp.zeros_like, dt, KT, types)

    @jax.jit
    def run(key):
        state = generator.init(free, key, jnp.zeros((len(types), 3)))
        state = jax.lax.fori_loop(0, steps, lambda _, s: generator.step(free, s), state)
        return jnp.sum(state.position**2, -1)

    moved = np.asarray(run(jax.random.key(1))).reshape(-1, 2).mean(0)
    np.testing.assert_allclose(moved, 6 * KT * alpha / gamma * (steps - 0.5) * dt, rtol=0.04)


def test_each_type_has_its_own_thermal_velocity():
    """<v^2> = 3 kT alpha^2/m after Langevin steps, to 4 % (0.9 % standard error)."""
    mass, alpha = np.array([10.0, 40.0]), 1.5
    types = (0, 1) * 8192
    free = Dynamics(*(jnp.float32(x) for x in (5 * mass, alpha, mass)))
    generator = engine.generator("ld", jnp.zeros_like, 0.01, KT, types)

    @jax.jit
    def run(key):
        state = generator.init(free, key, jnp.zeros((len(types), 3)))
        state = jax.lax.fori_loop(0, 20, lambda _, s: generator.step(free, s), state)
        return jnp.sum(engine.velocity(free, state) ** 2, -1)

    squares = np.asarray(run(jax.random.key(2))).reshape(-1, 2).mean(0)
    np.testing.assert_allclose(squares, 3 * KT * alpha**2 / mass, rtol=0.04)


def test_a_type_that_never_has_a_neighbour_has_a_score():
    """Sites of the second type are linked to one another and out of reach of the first: what is
    zero in the whole reference stays so when standardised, and the score finite."""
    rng = np.random.default_rng(6)
    near = rng.normal(0.75, 0.1, (3, 3))
    far = np.array([[0.0, 0.0, 10.0], [0.2, 0.0, 10.0]])
    windows = np.concatenate([near, far]) + rng.normal(0, 0.03, (8, 2, 5, 3))
    form = ClassifierForm(
        0.7, 0.2, channels=4, hidden=(8,), types=(0, 0, 0, 1, 1), linked=((3, 4), (4, 3))
    )
    box = np.full(3, 20.0)
    features = judge.windows_features(form, jnp.asarray(windows), jnp.asarray(windows), box)
    standardised = judge.standardise(judge.standard_scale(features, form), features)
    np.testing.assert_array_equal(standardised.rank0[:, 3:], 0.0)
    network = Classifier(form)
    scores = network.apply(network.init(jax.random.key(1), standardised), standardised)
    assert np.isfinite(scores).all()
    assert np.ptp(scores[:, 3]) > 0  # its own displacements are seen


@pytest.mark.parametrize("kind", ["bd", "ld"])
@pytest.mark.parametrize("freeze", [(), ("alpha",), ("mass",)])
def test_no_step_where_nothing_can_be_seen(kind, freeze):
    """gamma_a -> c gamma_a, alpha -> c alpha, m_a -> c^2 m_a leaves trajectories as they are."""
    transform = training.identifiable_directions(kind, freeze, types=2)
    gradient = {
        "alpha": jnp.float32(0.7),
        "gamma": jnp.array([0.3, -1.2]),
        "mass": jnp.array([0.5, 2.0]),
    }
    step = transform.update(gradient, transform.init(gradient))[0]
    gauge = {"alpha": 1.0, "gamma": jnp.ones(2), "mass": 2 * jnp.ones(2) * (kind == "ld")}
    along = sum(float(jnp.sum(gauge[name] * step[name])) for name in gauge)
    if not freeze:
        assert along == pytest.approx(0.0, abs=1e-5)
    for name in freeze:
        np.testing.assert_allclose(step[name], 0.0, atol=1e-6)
    if kind == "bd":
        np.testing.assert_allclose(step["mass"], 0.0, atol=1e-6)


@pytest.fixture(scope="module")
def window() -> np.ndarray:
    """Two frames of six sites, 0-1 and 2-3 bonded."""
    sites = np.random.default_rng(4).uniform(0, 0.8, (6, 3))
    return np.stack([sites, sites + np.random.default_rng(5).normal(0, 0.05, (6, 3))])


@pytest.fixture(scope="module")
def score(window):
    """Score of a window by a random classifier."""

    def features(positions):
        box = jnp.full(3, 100.0)
        frames = judge.frames_features(JUDGE, positions, box)
        return judge.assemble(JUDGE, frames, positions, box)

    variables = Classifier(JUDGE).init(jax.random.key(1), features(jnp.asarray(window)))
    return jax.jit(lambda x: jnp.mean(Classifier(JUDGE).apply(variables, features(x))))


def test_the_score_is_invariant_but_tells_types_apart(score, window):
    before = float(score(window))
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    assert float(score(window @ turn.T + 3.0)) == pytest.approx(before, abs=5e-5)
    # 4 and 5 have no bonds: they may not be exchanged, being of two types
    assert float(score(window[:, [0, 1, 2, 3, 5, 4]])) != pytest.approx(before, abs=2e-4)
    # two molecules of the same kind may be
    assert float(score(window[:, [2, 3, 0, 1, 4, 5]])) == pytest.approx(before, abs=5e-5)


def test_of_a_bond_the_direction_is_seen_and_not_the_length(window):
    """Site 1, at twice its distance from 0 and alone: only directions are left."""
    far = window.copy()[0]
    far[2:] += 20 * np.arange(1, 5)[:, None]
    longer = far.copy()
    longer[1] = far[0] + 2 * (far[1] - far[0])
    one, other = (
        judge.frame_features(JUDGE, jnp.asarray(x), np.full(3, 1e3)) for x in (far, longer)
    )
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a[:2], b[:2], atol=1e-5)
    towards = (far[1] - far[0]) / np.linalg.norm(far[1] - far[0])
    np.testing.assert_allclose(np.abs(one.rank1[0, :, -1]), np.abs(towards), atol=1e-5)
    np.testing.assert_allclose(one.rank1[0, :, :-1], 0.0, atol=1e-6)


def test_standardised_features_have_unit_size_in_each_type():
    rng = np.random.default_rng(6)
    scales = np.where(np.array(TYPES) == 0, 1.0, 7.0)
    features = judge.WindowFeatures(
        jnp.asarray(scales[:, None] * rng.normal(2, 1, (50, 6, 3))),
        jnp.asarray(scales[:, None, None] * rng.normal(0, 1, (50, 6, 3, 4))),
        jnp.asarray(scales[:, None, None] * rng.normal(0, 1, (50, 6, 6, 2))),
    )
    plain = judge.standardise(judge.standard_scale(features, JUDGE), features)
    for sites in JUDGE.members:
        np.testing.assert_allclose(np.mean(plain.rank0[:, sites], (0, 1)), 0.0, atol=1e-5)
        np.testing.assert_allclose(np.std(plain.rank0[:, sites], (0, 1)), 1.0, rtol=1e-5)
        np.testing.assert_allclose(np.mean(plain.rank1[:, sites] ** 2, (0, 1, 2)), 1.0, rtol=1e-5)


def test_a_model_of_several_types_is_read_as_it_was_written(tmp_path):
    model = Model(
        "ld",
        FORM,
        parameters_of(FORM),
        np.array([90.0, 40.0]),
        1.2,
        np.array([15.0, 17.0]),
        300.0,
        0.01,
    )
    save(tmp_path / "m.yaml", tmp_path / "m.npz", model, {})
    read = load(tmp_path / "m.yaml")
    assert read.form == FORM
    np.testing.assert_allclose(read.gamma, model.gamma)
    np.testing.assert_allclose(read.mass, model.mass)
    assert jax.tree.structure(read.parameters) == jax.tree.structure(model.parameters)
    types = np.array(FORM.types)
    assert read.of_mean_site().gamma == pytest.approx(np.mean(model.gamma[types]))
    assert read.of_types()["B"].identifiable()["mass_over_alpha2"] == pytest.approx(17 / 1.44)


@pytest.fixture(scope="module")
def ideal() -> SiteTrajectory:
    """200 frames of 40 dumbbells A-B, 0.2 nm long, anywhere and turned any way."""
    rng = np.random.default_rng(7)
    heads = rng.uniform(0, BOX, (200, 40, 3))
    tails = heads + 0.2 * Rotation.random(8000, random_state=rng).as_matrix()[:, 0].reshape(
        200, 40, 3
    )
    positions = np.stack([heads, tails], 2).reshape(200, 80, 3)
    bonds = [(2 * k, 2 * k + 1) for k in range(40)]
    return SiteTrajectory(
        positions.astype(np.float32),
        0.1 * np.arange(200),
        np.ones(80),
        topology("AB" * 40, bonds),
        BOX,
    )


def test_independent_molecules_have_g_of_one_between_all_types(ideal):
    """5 sigma of the error of each table, beyond 0.3 nm; bonded sites do not count."""
    table = rdf_by_type(rdf_of_types(ideal, 0.05))
    assert list(dict.fromkeys(table.types)) == ["A-A", "A-B", "B-B"]
    beyond = table[table.r_nm > 0.3]
    assert (np.abs(beyond.rdf - 1) < 5 * beyond.error).all()


def test_bond_lengths_have_their_distribution(ideal):
    table = bonded(ideal)
    assert set(table.types) == {"A-B"}
    assert (table.density * 0.002).sum() == pytest.approx(1.0)
    assert np.average(table.value, weights=table.density) == pytest.approx(0.2, abs=0.002)
