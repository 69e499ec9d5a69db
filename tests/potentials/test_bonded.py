"""Bonded terms, written out by hand, and their splines against SciPy's."""

import jax
import jax.numpy as jnp
import mdtraj
import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from dynmatch.errors import DynmatchError
from dynmatch.potentials.bonded import Form, Kind, Spline
from tests.helpers.fluids import bonded_sites

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = Form(
    (
        Kind(("A", "B"), (0.2, 900.0)),
        Kind(("B", "B"), (0.3, 700.0)),
        Kind(("A", "B", "B"), (-0.3, 12.0)),
        Kind(("A", "B", "B", "A"), (1.0, -2, 3, 4, 5, 6, -7, 8)),
    )
)
BOX = np.array([2.0, 2.2, 2.4])
TWICE = bonded_sites("ABBAABBA", [(0, 1), (1, 2), (2, 3), (4, 5), (5, 6), (6, 7)])


def energy(positions, topology) -> float:
    return float(FORM.energy({}, jnp.asarray(positions), BOX, topology, None))


def test_energy_is_the_sum_over_the_bonds_angles_and_dihedrals_of_the_topology():
    """With MDTraj's distances, angles and dihedrals, periodic images included."""
    positions = np.random.default_rng(1).uniform(0, 2, (8, 3))
    frame = mdtraj.Trajectory(
        positions[None],
        TWICE.to_mdtraj(),
        unitcell_lengths=BOX[None],
        unitcell_angles=[[90.0] * 3],
    )
    expected = 0.0
    for pairs, r0, k in (
        ([[0, 1], [2, 3], [4, 5], [6, 7]], 0.2, 900.0),
        ([[1, 2], [5, 6]], 0.3, 700.0),
    ):
        expected += 0.5 * k * np.sum((mdtraj.compute_distances(frame, pairs) - r0) ** 2)
    angles = mdtraj.compute_angles(frame, [[0, 1, 2], [3, 2, 1], [4, 5, 6], [7, 6, 5]])
    expected += 0.5 * 12.0 * np.sum((np.cos(angles) + 0.3) ** 2)
    a, b = np.array([1.0, -2, 3, 4]), np.array([5.0, 6, -7, 8])
    for phi in mdtraj.compute_dihedrals(frame, [[0, 1, 2, 3], [4, 5, 6, 7]])[0]:
        n = np.arange(1, 5)
        expected += np.sum(a * np.cos(n * phi) + b * np.sin(n * phi))
    assert energy(positions, TWICE) == pytest.approx(expected, rel=1e-4)


def test_kinds_that_do_not_occur_add_nothing_and_sites_without_bonds_have_none():
    sites = np.array([[0.0, 0, 0], [0.25, 0, 0], [1.0, 1, 1]])
    pair = bonded_sites("ABA", [(0, 1)])
    assert energy(sites, pair) == pytest.approx(0.5 * 900 * 0.05**2)
    assert energy(sites, bonded_sites("ABA", [])) == 0.0


def test_kinds_without_parameters_are_refused_by_name():
    FORM.require(TWICE)
    with pytest.raises(DynmatchError, match=r"no bonded term for A-A; it knows A-B, B-B, A-B-B"):
        FORM.require(bonded_sites("AA", [(0, 1)]))
    with pytest.raises(DynmatchError, match=r"no bonded term for A-B; it knows none"):
        Form(()).require(bonded_sites("AB", [(0, 1)]))


OPEN = Spline(0.2, 0.5, 7, 2.5)
ROUND = Spline(-np.pi, np.pi, 9, 2.5, periodic=True)
DRAWN = np.random.default_rng(4).normal(size=OPEN.size)


@pytest.mark.parametrize("derivative", [0, 1])
def test_a_spline_is_the_natural_or_periodic_one_of_scipy_through_its_knots(derivative):
    for spline, ends in ((OPEN, "natural"), (ROUND, "periodic")):
        c = np.random.default_rng(5).normal(size=spline.size)
        knots = np.linspace(spline.low, spline.high, spline.intervals + 1)
        values = spline.value(c, knots, xp=np)
        if spline.periodic:
            assert values[0] == pytest.approx(values[-1])
            values[-1] = values[0]
        other = CubicSpline(knots, values, bc_type=ends)
        q = np.linspace(spline.low, spline.high, 101)
        found = spline.value(c, q, derivative, np)
        np.testing.assert_allclose(found, other(q, derivative), atol=1e-12)


def test_beyond_its_ends_a_spline_is_a_straight_line_and_smooth_across_them():
    """Value, slope and second derivative from either side of an end, 1e-5 of an interval apart."""
    h = 1e-5 * OPEN.step
    for end, outwards in ((OPEN.low, -1), (OPEN.high, 1)):
        value, slope = (OPEN.value(DRAWN, np.array([end]), n, np)[0] for n in (0, 1))
        for distance in (1e-3, 0.1, 5.0):
            q = np.array([end + outwards * distance])
            line = value + slope * outwards * distance
            assert OPEN.value(DRAWN, q, xp=np)[0] == pytest.approx(line)
            assert OPEN.value(DRAWN, q, 1, np)[0] == pytest.approx(slope)
        inside = OPEN.value(DRAWN, np.array([end - outwards * h]), 1, np)[0]
        # of the order h^2/step^2, if there is no second derivative
        assert inside == pytest.approx(slope, abs=1e-7 * np.abs(DRAWN).max() / OPEN.step)


def test_a_dihedral_has_the_same_energy_and_slope_after_any_number_of_turns():
    c = np.random.default_rng(6).normal(size=ROUND.size)
    q = np.linspace(-3.0, 3.0, 7)
    for derivative in (0, 1):
        expected = ROUND.value(c, q, derivative, np)
        for turns in (-2, 1, 3):
            found = ROUND.value(c, q + 2 * np.pi * turns, derivative, np)
            np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize(
    "kind",
    [
        Kind(("A", "B"), (0.3, 900.0), OPEN),
        Kind(("A", "B", "A"), (-0.3, 12.0), Spline(-0.9, 0.6, 7, 2.5)),
        Kind(("A", "B", "B", "A"), (1.0, -2, 3, 4, 5, 6, -7, 8), Spline(-3, 3, 8, 2.5, True)),
    ],
    ids=lambda kind: kind.label,
)
def test_the_slope_of_a_term_is_that_of_its_energy(kind):
    """By JAX, inside of the spline and beyond it; what files for other engines are written from."""
    q = jnp.linspace(-3.5, 3.5, 43)
    energy = jax.vmap(jax.grad(lambda x: jnp.sum(kind.energy(jnp.asarray(DRAWN), x[None]))))
    np.testing.assert_allclose(kind.energy(DRAWN, np.asarray(q), 1, np), energy(q), atol=1e-9)


def test_the_energy_is_linear_in_the_coefficients_and_confines_beyond_the_data():
    """Whatever was learned, far from its ends the prior is steeper than any line."""
    kind = Kind(("A", "B"), (0.35, 900.0), OPEN)
    one, other = np.random.default_rng(7).normal(size=(2, OPEN.size))
    q = np.linspace(0.0, 1.0, 51)
    prior = kind.energy(np.zeros(OPEN.size), q, xp=np)
    parts = [kind.energy(c, q, xp=np) - prior for c in (one, other, 2 * one - 3 * other)]
    np.testing.assert_allclose(2 * parts[0] - 3 * parts[1], parts[2], atol=1e-10)
    assert kind.energy(one, np.array([-2.0]), 1, np) < 0 < kind.energy(one, np.array([3.0]), 1, np)


def test_a_term_without_a_spline_has_no_parameters_and_is_read_from_older_files():
    old = {"kinds": [{"names": ["A", "B"], "parameters": [0.2, 900.0]}]}
    form = Form.of_record(old)
    assert form.groups == ()
    assert form.initialise(jax.random.key(0)) == {}
    sites = np.array([[0.0, 0, 0], [0.25, 0, 0]])
    found = form.energy({}, jnp.asarray(sites), BOX, bonded_sites("AB", [(0, 1)]), None)
    assert float(found) == pytest.approx(0.5 * 900 * 0.05**2)


@pytest.mark.parametrize("limits", [(0.5, 0.2, 7), (0.2, 0.5, 3), (float("nan"), 0.5, 7)])
def test_splines_that_make_no_sense_are_refused(limits):
    with pytest.raises(DynmatchError, match=r"bonded spline from .* low must be below high"):
        Spline(*limits, 2.5)


@pytest.mark.parametrize(
    "names, parameters", [("AB", (-0.3, 900.0)), ("AB", (0.3, 0.0)), ("ABA", (-0.3, -12.0))]
)
def test_a_spring_pulls(names, parameters):
    with pytest.raises(DynmatchError, match=r"kinds: A-B.*no spring"):
        Kind(tuple(names), parameters)
