"""What every equation of motion must do, for each of the registry, with one type of sites and two.

Means over C independent coordinates are compared within four standard errors: sqrt(2/C) of the
value for a mean square; a new equation needs no other test of these.
"""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random
from scipy.linalg import null_space

from dynmatch import model_file
from dynmatch.dynamics.base import Scale
from dynmatch.dynamics.registry import DYNAMICS, card_of, equation_of
from dynmatch.errors import DynmatchError
from dynmatch.settings import TrainingSettings
from dynmatch.simulation import run
from tests.helpers.fluids import fluid, unbonded
from tests.helpers.models import equation, model_of, scale, still

KT = 2.5
TIME_STEP = 0.005
SITES = 8192
SCHEME = 0.01
"""What a scheme may err by at this time step: it is of second order, and rates are 20/ps or so."""


class Moving:
    """Sites of one or two types that move by an equation, friction and mass twice as large for the
    second."""

    def __init__(self, name: str, types: int, sites: int = SITES, time_step: float = TIME_STEP):
        self.equation = equation(name, time_step)
        self.count = types
        self.types = np.arange(sites) % types
        begin = self.equation.initial(_scale(types))
        self.values = {n: jnp.asarray(v, float) for n, v in (begin | {"alpha": 1.3}).items()}
        self.known = self.equation.identifiable(self.values, KT)

    def start(self, force, seed: int, x=None, values=None):
        """A state at `x` or the origin, and the function that continues it by some steps."""
        coefficients = self.equation.prepare(values or self.values, KT, self.types)
        x = jnp.zeros((len(self.types), 3)) if x is None else x

        @jax.jit
        def advance(state, steps):
            return jax.lax.fori_loop(
                0, steps, lambda _, s: self.equation.step(coefficients, force, s), state
            )

        return self.equation.init(coefficients, force, random.key(seed), x), advance

    def velocity(self, state):
        return self.equation.velocity(self.equation.prepare(self.values, KT, self.types), state)

    def of_types(self, squares) -> np.ndarray:
        """(T,) means over the sites of each type and the coordinates of (N, 3)."""
        squares = np.asarray(squares, np.float64)
        return np.array([squares[self.types == t].mean() for t in range(self.count)])

    @property
    def sigma(self) -> float:
        """Relative standard error of a mean square."""
        return np.sqrt(2 * self.count / (3 * len(self.types)))


def _scale(types: int) -> Scale:
    ladder = 2.0 ** np.arange(types)
    return scale(300 * ladder, 18 * ladder, 25.0, types)


@pytest.fixture(params=[1, 2], ids=["one type", "two types"])
def types(request) -> int:
    return request.param


@pytest.fixture(params=DYNAMICS)
def name(request) -> str:
    return request.param


@pytest.fixture
def exactly():
    """64-bit floating point, for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def moving(name, types) -> Moving:
    return Moving(name, types)


def free(x):
    return jnp.zeros_like(x)


# what it says of itself


def test_it_is_under_its_own_name_with_settings_of_its_own(name):
    made = equation_of(name)
    assert made.name == name
    assert importlib.import_module(card_of(name).module).Equation is made
    section = getattr(TrainingSettings(), name)
    assert made.of(section).time_step == section.time_step


def test_an_unknown_name_is_refused_with_those_that_there_are():
    for look_up in (card_of, equation_of):
        with pytest.raises(DynmatchError, match=r"'md' is unknown; there are bd, ld"):
            look_up("md")


def test_labels_are_its_own():
    for label in ("module", "label", "title"):
        assert len({getattr(card, label) for card in DYNAMICS.values()}) == len(DYNAMICS)


def test_equal_equations_are_one_to_jax(name):
    one, same, other = (equation(name, dt) for dt in (0.01, 0.01, 0.02))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other


def test_parameters_have_keys_and_columns_of_their_own_and_start_values(moving):
    parameters = moving.equation.parameters
    for label in ("key", "column"):
        assert len({getattr(each, label) for each in parameters.values()}) == len(parameters)
    begin = moving.equation.initial(_scale(moving.count))
    assert begin.keys() == parameters.keys()
    for each, value in begin.items():
        assert (np.shape(value)[:1] == (moving.count,)) == parameters[each].of_type
        assert np.isfinite(value).all()
        assert (np.asarray(value) > 0).all()


def test_what_it_has_learned_tells_which_equation_it_is(moving):
    """As a model file holds it."""
    values = {name: np.asarray(value) for name, value in moving.values.items()}
    assert moving.equation.of_values(TIME_STEP, values) == moving.equation


def test_each_combination_of_the_gauge_is_carried_by_one_value(name):
    """To the power of one; and tangents are carried of values and fields that there are."""
    made = equation_of(name)
    in_gauge = {each for combination in made.gauge.values() for each in combination}
    assert in_gauge <= made.parameters.keys()
    assert set(made.carried) <= made.parameters.keys()
    for combination in made.gauge.values():
        (carrier,) = combination.keys() & set(made.carried)
        assert combination[carrier] == 1
    assert "position" in made.moving


def test_what_is_identifiable_fits_together(moving):
    """kT = D0 gamma/alpha of every type; a mass where there are velocities."""
    known = {name: np.asarray(value) for name, value in moving.known.items()}
    assert all(value.shape == (moving.count,) for value in known.values())
    np.testing.assert_allclose(known["d0_nm2_per_ps"] * known["gamma_over_alpha"], KT, rtol=1e-5)
    assert ("mass_over_alpha2" in known) == card_of(moving.equation.name).velocities


# how sites move


def test_free_sites_diffuse_with_the_d0_that_it_reports(moving):
    """The slope of 2 D0 t between 2 and 5 ps, when memory has faded.

    The squares at two times t < T are correlated: of 2 D (T - t) the relative variance of one
    coordinate is 4 t/(T - t) + 2.
    """
    state, advance = moving.start(free, seed=1)
    early, late = 2.0, 5.0
    first = advance(state, round(early / TIME_STEP))
    last = advance(first, round((late - early) / TIME_STEP))
    slope = moving.of_types(last.position**2) - moving.of_types(first.position**2)
    sigma = np.sqrt((4 * early / (late - early) + 2) * moving.count / (3 * SITES))
    expected = 2 * np.asarray(moving.known["d0_nm2_per_ps"]) * (late - early)
    np.testing.assert_allclose(slope, expected, rtol=4 * sigma + SCHEME)


def test_sites_in_a_harmonic_well_have_its_boltzmann_distribution(moving):
    """From a cold start, after ten times gamma/k and more: <x^2> = kT/k, and equipartition."""
    friction = float(np.mean(moving.known["gamma_over_alpha"]))
    stiffness = friction / 0.3
    state, advance = moving.start(lambda x: -stiffness * x, seed=2)
    state = advance(state, round(4.0 / TIME_STEP))
    tolerance = 4 * moving.sigma + SCHEME
    variance = moving.of_types(state.position**2)
    np.testing.assert_allclose(variance, KT / stiffness, rtol=tolerance)
    if card_of(moving.equation.name).velocities:
        squares = moving.of_types(moving.velocity(state) ** 2)
        mass = np.asarray(moving.known["mass_over_alpha2"])
        np.testing.assert_allclose(squares, KT / mass, rtol=tolerance)


@pytest.mark.parametrize("name", [name for name, card in DYNAMICS.items() if card.velocities])
def test_equipartition_holds_at_large_steps(name):
    """In a well in which w dt = 0.8: on the step, the mean square would be 1 - 0.8^2/4 = 0.84 of
    kT/m."""
    moving = Moving(name, 1)
    mass, alpha = float(moving.values["mass"][0]), float(moving.values["alpha"])
    stiffness = mass * (0.8 / (alpha * TIME_STEP)) ** 2
    state, advance = moving.start(lambda x: -stiffness * x, seed=3)
    state = advance(state, 400)
    squares = moving.of_types(moving.velocity(state) ** 2)
    expected = KT / np.asarray(moving.known["mass_over_alpha2"])
    np.testing.assert_allclose(squares, expected, rtol=4 * moving.sigma)


def test_velocities_are_those_of_the_positions_where_there_are_any(moving):
    """Thermal at the start; and of free sites dR/dt within a time step, to 1 %."""
    state, advance = moving.start(free, seed=3)
    before = moving.velocity(state)
    if not card_of(moving.equation.name).velocities:
        assert before is None
        return
    mass = np.asarray(moving.known["mass_over_alpha2"])
    np.testing.assert_allclose(moving.of_types(before**2), KT / mass, rtol=4 * moving.sigma)
    after = advance(state, 1)
    mean = 0.5 * (np.asarray(before) + np.asarray(moving.velocity(after)))
    moved = np.asarray(after.position - state.position) / TIME_STEP
    np.testing.assert_allclose(
        moving.of_types(moved * mean) / moving.of_types(mean**2), 1.0, rtol=0.01
    )


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_free_motion_is_not_less_than_how_far_free_sites_come(moving, steps):
    """And not much more: the skin of neighbour lists is made of it."""
    state, advance = moving.start(free, seed=4)
    moved = np.sqrt(moving.of_types((advance(state, steps).position - state.position) ** 2).max())
    told = moving.equation.free_motion(moving.values, KT, steps * TIME_STEP)
    assert moved < told * (1 + 2 * moving.sigma + 1e-3)
    assert moved > 0.4 * told


def double_well(x):
    return 900.0 * x * (0.04 - x**2) / 0.04


@pytest.mark.usefixtures("exactly")
def test_what_the_gauge_leaves_open_changes_no_trajectory(name, types):
    """Values scaled along the null directions of the combinations: the same to 1e-10 nm, from the
    same random numbers, with the same velocities and the same that is identifiable."""
    moving = Moving(name, types, sites=40)
    names = sorted({each for combination in moving.equation.gauge.values() for each in combination})
    if not names:
        return
    powers = [[c.get(each, 0) for each in names] for c in moving.equation.gauge.values()]
    x = 0.1 * random.normal(random.key(6), (40, 3))
    state, advance = moving.start(double_well, 7, x)
    expected = advance(state, 50)
    velocity = moving.velocity(expected)
    assert np.abs(expected.position - x).max() > 0.01
    for direction in null_space(powers).T:
        scaled = Moving(name, types, sites=40)
        for each, power in zip(names, direction, strict=True):
            scaled.values[each] = scaled.values[each] * 1.7**power
        known = scaled.equation.identifiable(scaled.values, KT)
        for column, value in moving.known.items():
            np.testing.assert_allclose(known[column], value, rtol=1e-10)
        state, advance = scaled.start(double_well, 7, x)
        found = advance(state, 50)
        np.testing.assert_allclose(found.position, expected.position, atol=1e-10)
        if velocity is not None:
            np.testing.assert_allclose(scaled.velocity(found), velocity, atol=1e-9)


@pytest.mark.usefixtures("exactly")
def test_alpha_rescales_time_where_the_gauge_has_it(name, types):
    """alpha = 2 with step h is alpha = 1 with step 2h, bit for bit, and velocities are doubled."""
    made = equation_of(name)
    if not any("alpha" in combination for combination in made.gauge.values()):
        assert "alpha" not in made.carried
        return
    slow, fast = (Moving(name, types, 40, dt) for dt in (0.01, 0.005))
    slow.values["alpha"], fast.values["alpha"] = jnp.asarray(1.0), jnp.asarray(2.0)
    x = 0.1 * random.normal(random.key(6), (40, 3))
    ends = []
    for each in (slow, fast):
        state, advance = each.start(double_well, 7, x)
        ends.append(advance(state, 50))
    assert np.array_equal(ends[0].position, ends[1].position)
    if card_of(name).velocities:
        velocities = [each.velocity(end) for each, end in zip((slow, fast), ends, strict=True)]
        assert np.array_equal(2 * velocities[0], velocities[1])


@pytest.mark.usefixtures("exactly")
def test_tangents_at_the_start_are_finite_differences(name, types):
    """Of every field that moves with respect to the logarithm of every value that is carried."""
    moving, h = Moving(name, types, sites=40), 1e-5
    x = 0.1 * random.normal(random.key(6), (40, 3))
    state, _ = moving.start(double_well, 7, x)
    given = moving.equation.start_tangents(state)
    for each in moving.equation.carried:
        ends = []
        for sign in (1, -1):
            changed = moving.values | {each: moving.values[each] * np.exp(sign * h)}
            ends.append(moving.start(double_well, 7, x, changed)[0])
        for field in moving.equation.moving:
            slope = (getattr(ends[0], field) - getattr(ends[1], field)) / (2 * h)
            found = given.get((field, each), jnp.zeros_like(slope))
            np.testing.assert_allclose(found, slope, atol=1e-7)
    assert {field for field, _ in given} <= set(moving.equation.moving)


# what is done with it


@pytest.mark.parametrize("names", [("A",), ("A", "B")])
def test_a_model_of_it_is_read_as_it_was_written(name, names, tmp_path):
    potential = fluid(names)
    friction, mass = ([x, 1.7 * x][: len(names)] for x in (300.0, 18.0))
    parameters = potential.initialise(random.key(1))
    model = model_of(potential, parameters, name, friction=friction, mass=mass, alpha=1.3)
    topology = unbonded("".join(names) * 3)
    model_file.save(tmp_path / "m.yaml", tmp_path / "m.npz", model, topology, {})
    read = model_file.load(tmp_path / "m.yaml")
    assert read.equation == model.equation
    assert read.potential == model.potential
    assert read.values.keys() == model.values.keys()
    for each, value in model.values.items():
        np.testing.assert_array_equal(read.values[each], value)
    for column, value in model.identifiable().items():
        np.testing.assert_array_equal(read.identifiable()[column], value)


def test_a_model_of_it_runs_with_velocities_where_its_card_says_so(name, monkeypatch):
    monkeypatch.setattr(run, "FRAMES_PER_CHUNK", 6)
    box = np.full(3, 2.0)
    sites = still(
        0.5 * np.stack(np.unravel_index(np.arange(8), (2,) * 3), 1), unbonded("W" * 8), box
    )
    potential = fluid(basis=10, degree=1)
    model = model_of(potential, potential.initialise(random.key(1)), name)
    moved = run.simulate(model, sites, length=0.2, frame_spacing=0.02)
    assert moved.positions.shape == (11, 8, 3)
    assert np.isfinite(moved.positions).all()
    assert (moved.velocities is not None) == card_of(name).velocities
