"""The structural start finds the potential that made the samples: Henderson's theorem."""

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


def monte_carlo(walkers: int, sweeps: int, every: int, skip: int) -> np.ndarray:
    """Canonical samples (frames, 27, 3) nm by Metropolis moves of single sites."""
    rng = np.random.default_rng(1)
    x = np.stack([jittered_lattice(rng, EDGE, 0.02) for _ in range(walkers)])
    sites = x.shape[1]

    def energy_of(site, place):
        d = x - place[:, None]
        r = np.linalg.norm(d - EDGE * np.round(d / EDGE), axis=-1)
        r[:, site] = CUTOFF
        return np.sum(known_energy(np.maximum(r, 0.1)), -1)

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
        hessian.step(gradient, 0.5, unseen, unseen), -0.5 * off, rtol=0.05, atol=2e-3
    )
    far = np.asarray(hessian.step(1e4 * gradient, 0.5, unseen, unseen), np.float64)
    length = np.sqrt(far @ np.cov(slopes.T) @ far / 3)
    assert length == pytest.approx(0.5, rel=0.1)
    # frames of four times the variance say that the parabola ends at a quarter of the step
    short = hessian.step(gradient, 0.5, 2 * unseen, unseen)
    np.testing.assert_allclose(short, -0.125 * off, rtol=0.1)
    ended = hessian.step(gradient, 0.5, unseen, 2 * unseen)
    np.testing.assert_allclose(ended, -0.25 * off, rtol=0.1)


def test_steps_go_down_with_many_coefficients():
    """Energies of 690 coefficients, Gaussian, with variances over four orders of magnitude and 32
    frames an update: from one kT off in each, the entropy falls, and never rises.

    By Newton's step from the first update on it rose to six times its start."""
    size, updates, rng = 690, 100, np.random.default_rng(1)
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
    for number in range(-relative_entropy.looks(size), updates):
        known = slopes(relative_entropy.FRAMES_PER_UPDATE)
        generated = slopes(4) - covariance @ off
        rate = 0.05 * relative_entropy.rate_at(number + 1, updates) * (number >= 0)
        given = rate, known.mean(0) - generated.mean(0), known, generated
        step, hessian = advance(hessian, *(jnp.asarray(x, jnp.float32) for x in given))
        off = off + np.asarray(step, np.float64)
        entropies.append(off @ covariance @ off / size)
    assert max(entropies) < 1.05 * entropies[0]
    assert entropies[-1] < 0.5 * entropies[0]


def test_a_run_away_is_told_and_noise_is_not():
    relative_entropy.require_descent([0.06, 0.03, 0.08], 75)
    told = r"ran away: its error of g\(r\) was 0.059, and is 0.21 after update 50; lower training"
    with pytest.raises(DynmatchError, match=told):
        relative_entropy.require_descent([0.059, 0.21], 50)
