"""Observables of torsions against closed forms on the circle and Markov chains."""

import numpy as np
import pytest
from scipy.special import i0, i1

from dynmatch.errors import DynmatchError
from dynmatch.observables import torsions
from dynmatch.observables.centre import centre_diffusion, centre_msd
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import BOLTZMANN


def test_free_energy_of_a_von_mises_torsion():
    """F = -kT kappa cos phi, within five of its errors, where a bin has 20 counts at least; psi is
    uniform."""
    rng = np.random.default_rng(1)
    blocks = [
        np.stack([rng.vonmises(0.3, 2.0, 5000), rng.uniform(-np.pi, np.pi, 5000)], -1)
        for _ in range(40)
    ]
    table = torsions.torsion_free_energy(torsions.ramachandran_samples(blocks), 300.0)
    phi = table[table.torsion == "phi"]
    expected = -BOLTZMANN * 300 * 2.0 * np.cos(np.radians(phi.angle_deg) - 0.3)
    off = phi.f_kj_per_mol - expected
    off -= np.average(off, weights=phi.probability)
    # a bin of 10 degrees averages over the curvature of F
    assert (np.abs(off) < 5 * phi.error_kj_per_mol + 0.05).all()
    psi = table[table.torsion == "psi"]
    assert np.abs(psi.probability * 36 - 1).max() < 5 * 36 * psi.probability_error.max()


def test_divergence_of_two_and_of_equal_distributions():
    p = np.array([[0.5, 0.5], [0.0, 0.0]])
    q = np.array([[0.0, 0.0], [0.5, 0.5]])
    assert torsions.jensen_shannon(p, p) == 0
    # only where the second has been: there is nothing of the first
    half = np.array([[0.25, 0.25], [0.25, 0.25]])
    assert torsions.jensen_shannon(half, p) == pytest.approx(0)
    assert torsions.jensen_shannon(p + 1e-12 * q, half) == pytest.approx(
        0.5 * np.log(4 / 3) + 0.25 * np.log(2 / 3) + 0.25 * np.log(2), rel=1e-6
    )


def test_basins_share_the_torus():
    """Uniform torsions: each basin has its share of the area, within 5 standard errors."""
    rng = np.random.default_rng(2)
    blocks = [rng.uniform(-np.pi, np.pi, (2000, 2)) for _ in range(40)]
    table = torsions.populations(torsions.population_samples(blocks)).set_index("basin")
    areas = {"C5": 70 * 190, "PII_C7eq": 110 * 190, "alpha_R": 240 * 170, "phi_positive": 120 * 360}
    for basin, area in areas.items():
        row = table.loc[basin]
        assert abs(row.probability - area / 360**2) < 5 * row.error


def two_states(rng, steps: int, k01: float, k10: float) -> np.ndarray:
    """A Markov chain between two states with these probabilities of a change."""
    stay = np.array([k01, k10])
    path, state = np.empty(steps, int), 0
    for step, drawn in enumerate(rng.random(steps)):
        state ^= int(drawn < stay[state])
        path[step] = state
    return path


def test_slowest_timescale_of_a_two_state_chain():
    """lambda_2 = 1 - k01 - k10 exactly: psi flips between -1 and 2 with 1/63.4 frames."""
    rng = np.random.default_rng(3)
    blocks = [
        np.stack(
            [rng.uniform(-2, -1, 4000), np.where(two_states(rng, 4000, 0.01, 0.0057), 2, -1)], -1
        )
        for _ in range(40)
    ]
    table = torsions.timescales(torsions.transition_samples(blocks, 10), 10.0).set_index("torsion")
    expected = -1 / np.log(1 - 0.0157)
    row = table.loc["psi"]
    assert abs(row.timescale_ps - expected) < 5 * row.error
    assert row.error < 0.1 * expected


def test_exact_transitions_give_the_exact_timescale():
    counts = np.zeros((36, 36))
    counts[3, 3], counts[3, 20], counts[20, 3], counts[20, 20] = 0.4, 0.1, 0.1, 0.4
    assert torsions.slowest_timescale(counts.ravel(), 2.0) == pytest.approx(-2 / np.log(0.6))


def test_autocorrelation_of_a_diffusing_angle():
    """A free angle with D: <cos phi(0) cos phi(t)> = exp(-D t)/2, so that C decays with D."""
    rng = np.random.default_rng(4)
    d = 0.02
    blocks = [
        np.cumsum(np.sqrt(2 * d) * rng.normal(size=(5000, 2)), 0) + rng.uniform(0, 6, 2)
        for _ in range(40)
    ]
    samples = torsions.correlation_samples(blocks, 60)
    table = torsions.correlation(samples, 1.0)
    for _, own in table.groupby("function"):
        assert own.correlation.iloc[0] == pytest.approx(1)
        off = np.abs(own.correlation - np.exp(-d * own.lag_ps))[1:]
        assert (off < 5 * own.error[1:]).all()


def test_mean_cosine_of_a_von_mises_torsion():
    """I1/I0, that the samples' histogram has too."""
    rng = np.random.default_rng(5)
    block = np.stack([rng.vonmises(0, 2.0, 100_000)] * 2, -1)
    p = torsions.ramachandran_samples([block])[0].sum(1)
    mean = np.sum(p * np.cos(np.radians(torsions.bin_centres())))
    # 10 degree bins lower it by sinc(5 degrees); 5 standard errors of 1e5 samples
    assert mean * np.sinc(5 / 180) == pytest.approx(i1(2.0) / i0(2.0), abs=0.012)


def test_diffusion_of_a_molecule_by_itself():
    """Free Brownian centre of four sites: MSD = 6 D t, D within 5 of its errors, 3 % at most."""
    rng = np.random.default_rng(6)
    d, spacing = 0.002, 2.0
    steps = np.sqrt(2 * d * spacing) * rng.normal(size=(4, 20000, 1, 3))
    shape = rng.normal(size=(4, 3))
    positions = (np.cumsum(steps, 1) + shape).reshape(-1, 4, 3)
    top = SiteTopology(("A",) * 4, (0,) * 4, ("R",))
    time = np.tile(np.arange(20000) * spacing, 4)
    trajectory = SiteTrajectory(positions, time, np.full(4, 12.0), top, np.full(3, 100.0))
    found = centre_diffusion(trajectory).iloc[0]
    assert abs(found.d_nm2_per_ps - d) < 5 * found.error_nm2_per_ps
    assert found.error_nm2_per_ps < 0.03 * d
    table = centre_msd(trajectory, 100.0)
    assert (np.abs(table.msd_nm2 - 6 * d * table.lag_ps) < 5 * table.error_nm2).all()


def test_lags_do_not_exceed_a_block():
    """The correlation ends with the shortest block; a Markov model of no transitions is refused."""
    rng = np.random.default_rng(4)
    blocks = [rng.uniform(-np.pi, np.pi, (length, 2)) for length in (30, 20)]
    assert all(c.shape == (2, 20) for c in torsions.correlation_samples(blocks, 50).values())
    torsions.transition_samples(blocks, 19)
    with pytest.raises(DynmatchError, match=r"timescale_lag: 20 frames .* a time block, 20 frames"):
        torsions.transition_samples(blocks, 20)
