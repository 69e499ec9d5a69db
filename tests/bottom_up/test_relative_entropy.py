"""The structural start finds the potential that made the samples: Henderson's theorem."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dynmatch.bottom_up import relative_entropy
from dynmatch.errors import DynmatchError
from dynmatch.observables.rdf import rdf
from dynmatch.potentials import pair
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import Windows
from tests.helpers.fluids import jittered_lattice, random_parameters

KT = 2.5
EDGE = 1.2
MASS = 18.0
SITES = independent_sites(["S"] * 27, "S")
CORE, CUTOFF = 0.3, 0.6
# without three-body terms: those of degree 0 are pair terms as well
FORM = Potential((pair.Form(("S",), CUTOFF, KT, 20, (CORE,)),), ("S",), KT)


def known_energy(r: np.ndarray) -> np.ndarray:
    """u(r)/kT: a soft core, a well at 0.37 nm and a barrier at 0.48 nm."""
    well, barrier = (np.exp(-(((r - centre) / 0.05) ** 2)) for centre in (0.37, 0.48))
    return np.where(r < CUTOFF, (CORE / r) ** 12 - well + 0.4 * barrier, 0.0)


def alike(r: np.ndarray, site: int) -> np.ndarray:
    """`known_energy` of a site with all others."""
    return known_energy(r)


def monte_carlo(walkers: int, sweeps: int, every: int, skip: int, energy=alike) -> np.ndarray:
    """Canonical samples (frames, 27, 3) nm by Metropolis moves of single sites."""
    rng = np.random.default_rng(1)
    x = np.stack([jittered_lattice(rng, EDGE, 0.02) for _ in range(walkers)])
    sites = x.shape[1]

    def energy_of(site, place):
        d = x - place[:, None]
        r = np.linalg.norm(d - EDGE * np.round(d / EDGE), axis=-1)
        r[:, site] = CUTOFF
        return np.sum(energy(np.maximum(r, 0.1), site), -1)

    samples = []
    for sweep in range(sweeps):
        for site in range(sites):
            old = x[:, site].copy()
            new = old + rng.uniform(-0.1, 0.1, old.shape)
            change = energy_of(site, new) - energy_of(site, old)
            accepted = rng.random(walkers) < np.exp(-np.maximum(change, 0.0))
            x[accepted, site] = new[accepted]
        if sweep >= skip and sweep % every == 0:
            samples.append(x.astype(np.float32))
    return np.concatenate(samples)


def trajectory_of(samples: np.ndarray) -> SiteTrajectory:
    return SiteTrajectory(
        positions=samples,
        time=np.arange(len(samples), dtype=float),
        masses=np.full(27, MASS),
        topology=SITES,
        box=np.full(3, EDGE),
    )


def pair_energy(parameters: dict, r: np.ndarray) -> np.ndarray:
    """u(r)/kT of the spline and the core."""
    curve = FORM.term("pair").curve(0)
    return curve.design(r) @ np.asarray(parameters["pair"][0]) + curve.core_energy(r)


def test_known_pair_potential_is_recovered_from_monte_carlo_samples():
    """Within 0.1 kT wherever g > 0.1, where the core is wrong by 1 kT and -ln g by 0.2 kT."""
    samples = monte_carlo(walkers=64, sweeps=500, every=20, skip=100)
    samples = trajectory_of(samples)
    everything = np.arange(samples.n_frames)
    data = Windows(samples, np.array([0]), 1, everything, everything[:1])
    table = rdf(samples, 0.01)
    r, g = table.r_nm.to_numpy(), table.rdf.to_numpy()
    r, g = r[g > 0.1], g[g > 0.1]
    exact = known_energy(r)
    start = FORM.initialise(jax.random.key(2))
    rows = []
    found = relative_entropy.minimise(
        FORM,
        start,
        SITES,
        data,
        np.array([MASS]),
        3,
        updates=100,
        replicas=8,
        rate=0.1,
        roughness=1e-3,
        report=rows.append,
    )
    assert np.max(np.abs(pair_energy(start, r) - exact)) > 0.9
    assert np.max(np.abs(-np.log(g) - exact)) > 0.2
    np.testing.assert_allclose(pair_energy(found, r), exact, atol=0.1)
    assert rows[-1]["rdf_error"] < 0.05


def test_its_gradient_is_the_difference_of_mean_energy_gradients(quick_compilation):
    """beta (<dU/dtheta>_AA - <dU/dtheta>_CG), and that of the penalty on roughness."""
    rng = np.random.default_rng(3)
    frames = np.stack([jittered_lattice(rng, EDGE, 0.05) for _ in range(8)]).astype(np.float32)
    samples = trajectory_of(frames)
    data = Windows(samples, np.array([0]), 1, np.arange(8), np.arange(1))
    descent = relative_entropy.Descent.of(FORM, SITES, data, np.array([MASS]), roughness=0.3)
    parameters = random_parameters(FORM, 4, 0.2)

    def slope(function):
        return np.asarray(ravel_pytree(jax.grad(function)(parameters))[0], np.float64)

    def energy(x):
        box = jnp.asarray(samples.box, jnp.float32)
        return slope(lambda p: FORM.energy(FORM.tabulate(p), jnp.asarray(x), box, SITES)) / KT

    reference, generated = (np.array([energy(x) for x in part]) for part in np.split(frames, 2))
    expected = reference.mean(0) - generated.mean(0) + 0.3 * slope(FORM.roughness)
    seen, made = map(jnp.asarray, np.split(frames, 2))
    known = descent.slopes(parameters, seen)
    np.testing.assert_allclose(known, reference, atol=1e-4 * np.abs(reference).max())
    found = descent.gradient(parameters, known, descent.slopes(parameters, made))
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_newtons_step_ends_a_quadratic_and_is_bounded():
    """The relative entropy of a Gaussian of known covariance: from the mean that it is off by."""
    rng = np.random.default_rng(1)
    slopes, others = (rng.normal(size=(4000, 3)) @ np.diag([1.0, 3.0, 0.5]) for _ in range(2))
    hessian = relative_entropy.Hessian.start(3).after(jnp.asarray(slopes, jnp.float32))
    unseen = jnp.asarray(others, jnp.float32)
    off = np.array([0.02, -0.01, 0.1])
    gradient = jnp.asarray(np.cov(slopes.T) @ off, jnp.float32)
    np.testing.assert_allclose(
        hessian.step(gradient, 0.5, unseen), -0.5 * off, rtol=0.01, atol=2e-3
    )
    far = np.asarray(hessian.step(1e4 * gradient, 0.5, unseen), np.float64)
    length = np.sqrt(far @ np.cov(slopes.T) @ far / 3)
    assert length == pytest.approx(0.5, rel=0.1)
    # frames of four times the variance say that the parabola ends at a quarter of the step
    short = hessian.step(gradient, 0.5, unseen, 2 * unseen)
    np.testing.assert_allclose(short, -0.25 * off, rtol=0.1)


def test_steps_stay_steps_down_while_coefficients_outnumber_frames():
    """Energies of 690 coefficients, Gaussian, with variances over four orders of magnitude and 32
    frames an update: from one kT off in each, the entropy falls, and never rises.

    By Newton's step alone it rose to six times its start."""
    size, updates, rng = 690, 80, np.random.default_rng(1)
    axes, _ = np.linalg.qr(rng.normal(size=(size, size)))
    spectrum = np.logspace(2, -2, size)
    covariance = (axes * spectrum) @ axes.T
    off = axes @ (rng.normal(size=size) / np.sqrt(spectrum))

    def slopes(frames):
        return (rng.normal(size=(frames, size)) * np.sqrt(spectrum)) @ axes.T

    @jax.jit
    def advance(hessian, rate, gradient, known, generated):
        return hessian.step(gradient, rate, known, generated), hessian.after(known)

    hessian, entropies = relative_entropy.Hessian.start(size), []
    for number in range(1, updates + 1):
        entropies.append(off @ covariance @ off / size)
        known = slopes(relative_entropy.FRAMES_PER_UPDATE)
        generated = slopes(4) - covariance @ off
        rate = 0.05 * relative_entropy.rate_at(number, updates)
        given = rate, known.mean(0) - generated.mean(0), known, generated
        step, hessian = advance(hessian, *(jnp.asarray(x, jnp.float32) for x in given))
        off = off + np.asarray(step, np.float64)
    assert max(entropies) < 1.05 * entropies[0]
    assert entropies[-1] < 0.2 * entropies[0]


def test_a_run_away_is_told_and_noise_is_not():
    relative_entropy.require_descent([0.06, 0.03, 0.08], 75)
    told = r"ran away: its error of g\(r\) was 0.059, and is 0.21 after update 50; lower training"
    with pytest.raises(DynmatchError, match=told):
        relative_entropy.require_descent([0.059, 0.21], 50)


NAMES = tuple("AB" * 13 + "A")


def mixed_energy(r: np.ndarray, a: np.ndarray, b: int) -> np.ndarray:
    """u(r)/kT of sites of types 0 and 1: cores, and a well between unlike ones."""
    core = np.array([[0.32, 0.29], [0.29, 0.27]])[a, b]
    depth = np.array([[0.5, 2.0], [2.0, 0.0]])[a, b]
    well = np.exp(-(((r - core - 0.05) / 0.04) ** 2))
    return np.where(r < CUTOFF, (core / r) ** 12 - depth * well, 0.0)


def test_two_types_with_many_coefficients_descend():
    """720 of them, of pairs: the error of g(r) falls from the first updates on, when the Hessian is
    of fewer frames."""
    types = np.array([name == "B" for name in NAMES]).astype(int)
    samples = monte_carlo(
        32, 200, 10, 100, energy=lambda r, site: mixed_energy(r, types, types[site])
    )
    trajectory = replace(trajectory_of(samples), topology=independent_sites(NAMES, "S"))
    everything = np.arange(len(samples))
    data = Windows(trajectory, np.array([0]), 1, everything, everything[:1])
    form = pair.Form(("A", "B"), CUTOFF, KT, 240, (0.32, 0.29, 0.27))
    potential = Potential((form,), ("A", "B"), KT)
    rows = []
    relative_entropy.minimise(
        potential,
        potential.initialise(jax.random.key(2)),
        trajectory.topology,
        data,
        np.full(2, MASS),
        3,
        updates=100,
        replicas=4,
        rate=0.1,
        roughness=1e-3,
        report=rows.append,
    )
    errors = [row["rdf_error"] for row in rows]
    assert errors[-1] < min(0.8 * errors[0], 0.15)
