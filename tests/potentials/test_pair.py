"""The pair term against SciPy's splines, and that of every pair of types."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BSpline

from dynmatch.potentials.base import type_pairs
from dynmatch.potentials.pair import Form
from tests.helpers.fluids import jittered_lattice, unbonded

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = Form(("A",), cutoff=0.6, thermal_energy=2.5, basis=24, cores=(0.25,))
MIXED = Form(("A", "B"), cutoff=0.6, thermal_energy=2.5, basis=24, cores=(0.25, 0.23, 0.21))
HUGE_BOX = np.full(3, 100.0)


def coefficients(form: Form, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(len(form.cores), form.basis))


def energy(form: Form, rows: np.ndarray, positions: np.ndarray, names: str, box=HUGE_BOX) -> float:
    tables = form.tabulate({"pair": jnp.asarray(rows)})
    return float(form.energy(tables, jnp.asarray(positions), box, unbonded(names), None))


def of_two_sites(form: Form, rows: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """u(r), from the energy of two sites."""
    tables = form.tabulate({"pair": jnp.asarray(rows)})
    start, along = jnp.array([[0.1, 0.2, 0.3]] * 2), jnp.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])

    @jax.jit
    def of(r):
        return form.energy(tables, start + r * along, jnp.asarray(HUGE_BOX), unbonded("AA"), None)

    return np.asarray(jax.lax.map(of, jnp.asarray(distances)))


def test_tabulated_pair_energy_is_the_spline_on_the_core():
    """Against scipy's B-spline with three vanishing coefficients at the cutoff."""
    rows = coefficients(FORM, 5)
    spline = BSpline(FORM.curve(0).knots, np.append(rows[0], np.zeros(3)), 3)
    r = np.linspace(0.2, 0.599, 200)
    x, y = 0.25 / r, 0.25 / FORM.cutoff
    core = x**12 - y**12 * (1 - 12 * (r / FORM.cutoff - 1))
    # single precision of the design, and linear interpolation over 1024 nodes
    np.testing.assert_allclose(
        of_two_sites(FORM, rows, r), FORM.thermal_energy * (spline(r) + core), rtol=1e-3, atol=2e-3
    )


def test_the_nearest_curve_reproduces_a_smooth_potential():
    """From values at 60 distances, at other distances, through tables and energy."""

    def smooth(r):
        return 6.0 * np.cos(25.0 * r) * np.exp(-r / 0.3) * (1 - (r / FORM.cutoff) ** 2) ** 3

    r = np.linspace(0.24, FORM.cutoff, 60)
    row = FORM.curve(0).nearest(r, smooth(r))
    between = np.linspace(0.25, 0.595, 200)
    np.testing.assert_allclose(of_two_sites(FORM, row[None], between), smooth(between), atol=0.01)


def test_derivatives_of_spline_and_core_are_finite_differences():
    """Everywhere: in the core, on the linear continuation below the first knot, at the cutoff."""
    curve, h = FORM.curve(0), 1e-6
    r = np.linspace(0.11, 0.599, 150)
    for derivative in (0, 1):
        up, down = (curve.design(r + sign * h, derivative) for sign in (1, -1))
        slope = (up - down) / (2 * h)
        found = curve.design(r, derivative + 1)
        # at a knot the second derivative has a kink
        np.testing.assert_allclose(found, slope, atol=2e-3 * np.abs(found).max())
    up, down = (curve.core_energy(r + sign * h) for sign in (1, -1))
    inside = r > 0.5 * curve.core
    np.testing.assert_allclose(
        curve.core_energy(r, 1)[inside], ((up - down) / (2 * h))[inside], rtol=1e-5, atol=1e-4
    )


def test_each_pair_of_types_has_its_own_pair_term():
    rows = coefficients(MIXED, 1)
    sites = np.array([[0.0, 0, 0], [0.3, 0, 0], [0.1, 0.4, 0]])
    expected = 0.0
    for (i, j), number in {(0, 1): 1, (0, 2): 1, (1, 2): 2}.items():
        one = Form(("A",), MIXED.cutoff, MIXED.thermal_energy, MIXED.basis, (MIXED.cores[number],))
        expected += energy(one, rows[[number]], sites[[i, j]], "AA")
    assert energy(MIXED, rows, sites, "ABB") == pytest.approx(expected, rel=1e-10)
    assert type_pairs(2) == [(0, 0), (0, 1), (1, 1)]


def test_two_types_with_the_same_parameters_have_the_energy_of_one():
    form = Form(("A", "B"), FORM.cutoff, FORM.thermal_energy, FORM.basis, FORM.cores * 3)
    row = coefficients(FORM, 1)
    sites, box = jittered_lattice(np.random.default_rng(2), 1.25, 0.08), np.full(3, 1.25)
    energies = [
        energy(form, np.tile(row, (3, 1)), sites, "BA" * 13 + "B", box),
        energy(FORM, row, sites, "A" * 27, box),
    ]
    assert energies[0] == pytest.approx(energies[1], rel=1e-12)


def test_roughness_is_the_mean_square_of_third_differences():
    """Of a cubic in the coefficient's number, 3! squared, whatever is added of lower degree."""
    number = np.arange(FORM.basis, dtype=float)
    rows = (number**3 - 5 * number**2 + 7)[None]
    assert float(FORM.roughness({"pair": jnp.asarray(rows)})) == pytest.approx(36.0)
