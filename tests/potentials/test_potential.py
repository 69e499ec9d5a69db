"""The potential against its definition: invariances, finite differences and explicit sums."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dynmatch.potentials.potential import ALL_PAIRS, Neighbours, PotentialForm
from scipy.interpolate import BPoly, BSpline
from scipy.spatial.transform import Rotation

from dynmatch.potentials import potential
from tests.helpers.fluids import jittered_lattice, random_parameters

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

FORM = PotentialForm(
    cutoff=0.6,
    three_body_cutoff=0.55,
    core=0.25,
    thermal_energy=2.5,
    pair_basis=24,
    radial_channels=2,
    hidden=(5,),
)
EDGE = 1.25
BOX = np.full(3, EDGE)
HUGE_BOX = np.full(3, 100.0)

tabulate = jax.jit(potential.tabulate, static_argnums=0)
_energy = jax.jit(potential.energy, static_argnums=0)
_force = jax.jit(potential.force, static_argnums=0)


def energy(tables, positions, box, neighbours=ALL_PAIRS, form=FORM) -> float:
    return float(_energy(form, tables, positions, box, neighbours))


def force(tables, positions, box, neighbours=ALL_PAIRS) -> np.ndarray:
    return np.asarray(_force(FORM, tables, positions, box, neighbours))


@pytest.fixture(scope="module")
def tables(double_precision):
    return tabulate(FORM, random_parameters(FORM, 1))


@pytest.fixture(scope="module")
def positions() -> np.ndarray:
    """27 sites, nearest neighbours between 0.26 and 0.5 nm."""
    return jittered_lattice(np.random.default_rng(2), EDGE, 0.08)


def two_sites(r: float) -> np.ndarray:
    return np.array([[0.1, 0.2, 0.3], [0.1 + r, 0.2, 0.3]])


@jax.jit
def _energies_of_pairs(tables, distances):
    start, along = jnp.asarray(two_sites(0.0)), jnp.asarray([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    one = lambda r: potential.energy(FORM, tables, start + r * along, jnp.asarray(HUGE_BOX))  # noqa: E731
    return jax.lax.map(one, distances)


def pair_energy(tables, distances: np.ndarray) -> np.ndarray:
    """u(r) of a potential without three-body term, from the energy of two sites."""
    return np.asarray(_energies_of_pairs(tables, distances))


def without_three_body(parameters: dict) -> dict:
    return parameters | {"network": jax.tree.map(jnp.zeros_like, parameters["network"])}


def test_rotation_leaves_the_energy_and_turns_the_forces(tables, positions):
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    turned = positions @ turn.T
    before, after = (energy(tables, x, HUGE_BOX) for x in (positions, turned))
    assert after == pytest.approx(before, rel=1e-12)
    np.testing.assert_allclose(
        force(tables, turned, HUGE_BOX),
        force(tables, positions, HUGE_BOX) @ turn.T,
        atol=1e-9,
    )


def test_translation_and_periodic_images_change_nothing(tables, positions):
    images = np.random.default_rng(3).integers(-3, 4, positions.shape)
    moved = positions + np.array([0.31, -0.17, 2.9]) + images * BOX
    before, after = (energy(tables, x, BOX) for x in (positions, moved))
    assert after == pytest.approx(before, rel=1e-10)
    forces = force(tables, positions, BOX)
    np.testing.assert_allclose(force(tables, moved, BOX), forces, atol=1e-7)


def test_permutation_leaves_the_energy_and_permutes_the_forces(tables, positions):
    order = np.random.default_rng(4).permutation(len(positions))
    before, after = (energy(tables, x, BOX) for x in (positions, positions[order]))
    assert after == pytest.approx(before, rel=1e-12)
    forces = force(tables, positions, BOX)
    np.testing.assert_allclose(force(tables, positions[order], BOX), forces[order], atol=1e-9)


def test_force_is_the_negative_gradient_of_the_energy(tables, positions):
    forces = force(tables, positions, BOX)
    gradient = jax.jit(jax.grad(potential.energy, 2), static_argnums=0)(
        FORM, tables, positions, BOX
    )
    assert np.std(forces) > 10.0
    np.testing.assert_allclose(forces, -gradient, atol=1e-9 * np.max(np.abs(forces)))


def test_force_is_the_negative_finite_difference_of_the_energy(tables, positions):
    """Central differences of step h = 1e-5 nm; the kinks of the tabulated force limit them."""
    h = 1e-5
    shifts = h * np.eye(positions.size).reshape(-1, *positions.shape)
    along = jax.jit(
        lambda shifts: jax.lax.map(
            lambda d: potential.energy(FORM, tables, positions + d, BOX), shifts, batch_size=9
        )
    )
    difference = (along(shifts) - along(-shifts)) / (2 * h)
    forces = force(tables, positions, BOX)
    np.testing.assert_allclose(
        forces, -difference.reshape(positions.shape), atol=1e-5 * np.max(np.abs(forces))
    )


def test_forces_add_up_to_zero(tables, positions):
    forces = force(tables, positions, BOX)
    np.testing.assert_allclose(np.sum(forces, 0), 0.0, atol=1e-10 * np.sum(np.abs(forces)))


def test_single_precision_is_enough(tables, positions):
    """Training and validation run in single precision: the force is good to 1e-4 of its spread."""
    single = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (tables, positions, BOX))
    forces = force(tables, positions, BOX)
    error = force(*single) - forces
    assert np.sqrt(np.mean(error**2)) < 1e-4 * np.std(forces)


def neighbour_list(positions: np.ndarray, cutoff: float, spare: int) -> np.ndarray:
    """Indices (K, N) of the sites within `cutoff`, and at least `spare` empty slots marked N."""
    d = positions[:, None] - positions[None]
    d -= EDGE * np.round(d / EDGE)
    near = (np.linalg.norm(d, axis=-1) < cutoff) & ~np.eye(len(positions), dtype=bool)
    assert not near.all()
    full = np.full((near.sum(1).max() + spare, len(positions)), len(positions))
    for site, row in enumerate(near):
        full[: row.sum(), site] = np.flatnonzero(row)
    return full


def test_neighbour_lists_give_what_all_pairs_give(tables, positions):
    lists = Neighbours(
        neighbour_list(positions, FORM.cutoff, 3),
        neighbour_list(positions, FORM.three_body_cutoff, 1),
    )
    everything = energy(tables, positions, BOX, ALL_PAIRS)
    assert energy(tables, positions, BOX, lists) == pytest.approx(everything, rel=1e-12)
    np.testing.assert_allclose(
        force(tables, positions, BOX, lists),
        force(tables, positions, BOX, ALL_PAIRS),
        atol=1e-9,
    )


@pytest.mark.parametrize("cutoff", [FORM.cutoff, FORM.three_body_cutoff])
def test_energy_and_force_are_continuous_at_the_cutoffs(tables, cutoff):
    """A third site crosses a cutoff of the first; 1e-9 nm change them by slope x 1e-9 at most."""

    def at(r):
        x = np.concatenate([two_sites(0.3), [[0.1, 0.2 + r, 0.3]]])
        return energy(tables, x, HUGE_BOX), force(tables, x, HUGE_BOX)

    inside, outside, far = at(cutoff - 1e-9), at(cutoff + 1e-9), at(cutoff - 0.05)
    assert abs(far[0] - inside[0]) > 1e-4
    assert np.max(np.abs(far[1] - inside[1])) > 1e-2
    assert outside[0] == pytest.approx(inside[0], abs=1e-6)
    np.testing.assert_allclose(outside[1], inside[1], atol=1e-4)


def test_beyond_the_cutoffs_there_is_no_force(tables):
    assert not np.any(force(tables, two_sites(FORM.cutoff + 1e-6), HUGE_BOX))


def test_tabulated_pair_energy_is_the_spline_on_the_core():
    """Against scipy's B-spline with three vanishing coefficients at the cutoff."""
    parameters = without_three_body(random_parameters(FORM, 5))
    coefficients = np.asarray(parameters["pair"]["params"]["coefficients"])
    spline = BSpline(potential.knots(FORM), np.append(coefficients, np.zeros(3)), 3)
    r = np.linspace(0.2, 0.599, 200)
    x, y = FORM.core / r, FORM.core / FORM.cutoff
    core = x**12 - y**12 * (1 - 12 * (r / FORM.cutoff - 1))
    found = pair_energy(tabulate(FORM, parameters), r)
    # single precision of the design, and linear interpolation over 1024 nodes
    np.testing.assert_allclose(
        found, FORM.thermal_energy * (spline(r) + core), rtol=1e-3, atol=2e-3
    )


def test_fit_pair_reproduces_a_smooth_potential():
    """From values at 60 distances, at other distances, through tables and energy."""

    def smooth(r):
        return 6.0 * np.cos(25.0 * r) * np.exp(-r / 0.3) * (1 - (r / FORM.cutoff) ** 2) ** 3

    r = np.linspace(0.24, FORM.cutoff, 60)
    coefficients = potential.fit_pair(FORM, r, smooth(r))
    start = without_three_body(random_parameters(FORM, 6))
    parameters = start | {"pair": {"params": {"coefficients": jnp.asarray(coefficients)}}}
    between = np.linspace(0.25, 0.595, 200)
    found = pair_energy(tabulate(FORM, parameters), between)
    np.testing.assert_allclose(found, smooth(between), atol=0.01)


def test_linear_site_energy_is_the_explicit_sum_over_triplets(positions):
    r"""E_i = w0.h + sum over pairs of neighbours j, k of h h' sum_l wl (x_j.x_k)^l, l = 0 ... 3."""
    form = replace(FORM, hidden=())
    parameters = random_parameters(form, 7)
    (weights,) = jax.tree.leaves(parameters["network"])
    weights = np.asarray(weights)[:, 0]
    bernstein = np.asarray(parameters["radial"])

    scale, n = form.three_body_cutoff, len(positions)
    couples = [(0, 0), (0, 1), (1, 1)]
    total = 0.0
    for i in range(n):
        others = np.delete(positions, i, axis=0)
        d = positions[i] - others
        d = (d - EDGE * np.round(d / EDGE)) / scale
        r = np.linalg.norm(d, axis=1)
        d, r = d[r < 1], r[r < 1]
        h = [(1 - r**2) ** 3 * BPoly(c[:, None], [0, 1])(r**2) for c in bernstein]
        total += sum(w * sum(channel) for w, channel in zip(weights[:2], h, strict=True))
        for j in range(len(r)):
            for k in range(len(r)):
                cosine = d[j] @ d[k] / (r[j] * r[k])
                for place, (a, b) in enumerate(couples):
                    for rank in range(4):
                        product = h[a][j] * h[b][k] * (r[j] * r[k] * cosine) ** rank
                        total += weights[3 * rank + 2 + place] * product

    with_it, without = (
        energy(tabulate(form, p), positions, BOX, form=form)
        for p in (parameters, without_three_body(parameters))
    )
    assert abs(total) > 0.05
    assert with_it - without == pytest.approx(form.thermal_energy * total, rel=1e-9)


@pytest.mark.parametrize("group", ["pair", "radial", "network"])
def test_gradient_with_respect_to_parameters_is_the_finite_difference(positions, group):
    parameters = random_parameters(FORM, 1)
    direction = jax.tree.map(jnp.zeros_like, parameters)
    direction[group] = random_parameters(FORM, 8)[group]

    def along(h):
        return float(
            _value(positions, jax.tree.map(lambda p, d: p + h * d, parameters, direction))[0]
        )

    _, gradient = _value(positions, parameters)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)))
    assert abs(slope) > 0.1
    assert slope == pytest.approx((along(1e-4) - along(-1e-4)) / 2e-4, rel=1e-6)


@jax.jit
def _value(positions, parameters):
    """Energy and its gradient with respect to the parameters."""

    def value(p):
        return potential.energy(FORM, potential.tabulate(FORM, p), positions, jnp.asarray(BOX))

    return jax.value_and_grad(value)(parameters)
