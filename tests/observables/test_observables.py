"""Observables of trajectories whose exact answers are known: ideal gas, Brownian motion, OU, AR."""

from dataclasses import replace

import mdtraj
import numpy as np
import pytest
import tidynamics
from scipy import stats

from dynmatch.errors import DynmatchError
from dynmatch.observables.adf import adf
from dynmatch.observables.analysis import observe
from dynmatch.observables.frames import log_lags, thinned
from dynmatch.observables.free_energy import free_energy_q, free_energy_r_theta, pmf
from dynmatch.observables.msd import (
    diffusion,
    fit_range,
    longest_reliable_lag,
    msd,
    msd_samples,
    msd_table,
)
from dynmatch.observables.rdf import rdf
from dynmatch.observables.scattering import scattering, scattering_samples, scattering_table
from dynmatch.observables.survival import survival
from dynmatch.observables.tetrahedral import tetrahedral, tetrahedral_order
from dynmatch.observables.vacf import vacf, velocity_products
from dynmatch.observables.van_hove import van_hove
from dynmatch.settings import ObservableSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import BOLTZMANN

BOX = np.array([1.4, 1.5, 1.6])


def trajectory(
    positions: np.ndarray,
    spacing: float = 1.0,
    box: np.ndarray | None = BOX,
    velocities: np.ndarray | None = None,
    replicas: int = 1,
) -> SiteTrajectory:
    frames, sites, _ = positions.shape
    return SiteTrajectory(
        positions=positions,
        time=np.tile(np.arange(frames // replicas) * spacing, replicas),
        masses=np.full(sites, 18.0),
        topology=independent_sites(["W"] * sites, "HOH"),
        box=box,
        velocities=velocities,
    )


def ideal_gas(seed: int, frames: int = 400, sites: int = 40, **options) -> SiteTrajectory:
    positions = np.random.default_rng(seed).random((frames, sites, 3)) * BOX
    return trajectory(positions.astype(np.float32), **options)


def brownian(
    seed: int, frames: int, sites: int, spacing: float, d: float, replicas: int = 1
) -> SiteTrajectory:
    """Free Brownian motion with diffusion constant d (nm^2/ps)."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(scale=np.sqrt(2 * d * spacing), size=(replicas, frames, sites, 3))
    positions = np.cumsum(steps, axis=1).reshape(-1, sites, 3)
    return trajectory(positions, spacing, replicas=replicas)


def normal(table_value, exact, error, blocks: int) -> np.ndarray:
    """Deviations in stated errors from `blocks` samples (Student's t), as normal deviates."""
    return stats.norm.ppf(stats.t.cdf((table_value - exact) / error, blocks - 1))


def assert_unbiased(deviations: np.ndarray, sigmas: float = 5.0) -> None:
    """Normalised deviations (many, roughly normal) neither wide of 0 nor of unit variance."""
    deviations = np.asarray(deviations)
    assert np.max(np.abs(deviations)) < sigmas
    assert np.mean(deviations**2) == pytest.approx(1, abs=0.5)


# structure


def test_rdf_of_an_ideal_gas_is_one():
    """In units of the stated error, over some 60 populated bins."""
    table = rdf(ideal_gas(1, frames=4000), 0.01)
    far = table[table.r_nm > 0.1]
    assert_unbiased(normal(far.rdf, 1, far.error, 10))
    assert far.rdf.mean() == pytest.approx(1, abs=0.003)


def test_rdf_agrees_with_mdtraj_over_replicas():
    gas = ideal_gas(2, replicas=4)
    topology = gas.topology.to_mdtraj()
    reference = mdtraj.Trajectory(
        gas.positions,
        topology,
        unitcell_lengths=np.tile(BOX, (gas.n_frames, 1)),
        unitcell_angles=np.full((gas.n_frames, 3), 90.0),
    )
    pairs = topology.select_pairs("all", "all")
    r, expected = mdtraj.compute_rdf(reference, pairs, r_range=(0, 0.7), n_bins=70)
    table = rdf(gas, 0.01)
    assert np.allclose(table.r_nm, r, rtol=1e-12)
    assert np.allclose(table.rdf, expected, rtol=1e-12)


def test_structure_is_the_same_in_every_periodic_image():
    """Translation and wrapping change distances by single-precision rounding, few counts move."""
    gas = ideal_gas(3, frames=40)
    rng = np.random.default_rng(3)
    images = rng.integers(-2, 3, gas.positions.shape) * BOX + np.array([0.11, -0.37, 0.73])
    moved = replace(gas, positions=(gas.positions + images).astype(np.float32))
    assert np.allclose(rdf(gas, 0.05).rdf, rdf(moved, 0.05).rdf, atol=2e-3)
    assert np.allclose(adf(gas, 0.5).density, adf(moved, 0.5).density, atol=2e-3)
    order = tetrahedral_order(gas.positions, BOX)
    assert np.allclose(order, tetrahedral_order(moved.positions, BOX), atol=1e-3)


def test_structure_does_not_depend_on_the_order_of_sites_or_frames():
    gas = ideal_gas(4, frames=50)
    rng = np.random.default_rng(4)
    shuffled = replace(gas, positions=gas.positions[rng.permutation(50)][:, rng.permutation(40)])
    assert np.allclose(rdf(gas, 0.02).rdf, rdf(shuffled, 0.02).rdf, rtol=1e-12)
    assert np.allclose(adf(gas, 0.5).density, adf(shuffled, 0.5).density, rtol=1e-9)


def test_adf_of_random_points_is_uniform():
    """Angles at one centre are independent of each other pairwise, so density 1/2; 50 bins."""
    table = adf(ideal_gas(5, frames=2000), 0.5)
    assert_unbiased(normal(table.density, 0.5, table.error, 10))
    assert np.sum(table.density) * 2 / len(table) == pytest.approx(1, rel=1e-12)


def test_adf_of_an_equilateral_triangle_and_of_a_row():
    triangle = np.array([[0, 0, 0], [0.3, 0, 0], [0.15, 0.15 * np.sqrt(3), 0]])
    row = np.array([[0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]])
    for points, cosine in ((triangle, 0.5), (row, -1.0)):
        table = adf(trajectory(np.tile(points, (4, 1, 1)), box=None), 0.35)
        peak = table.loc[table.density.idxmax()]
        assert abs(peak.cos_theta - cosine) <= 0.0201
        assert peak.density == pytest.approx(25)


def test_adf_counts_the_triplets_that_a_double_loop_finds():
    gas = ideal_gas(6, frames=3, sites=12)
    cosines = []
    for frame in gas.positions.astype(float):
        vectors = frame[None] - frame[:, None]
        vectors -= BOX * np.round(vectors / BOX)
        distances = np.linalg.norm(vectors, axis=-1)
        for i in range(12):
            near = [j for j in range(12) if j != i and distances[i, j] < 0.6]
            for a, j in enumerate(near):
                for k in near[:a]:
                    cosine = vectors[i, j] @ vectors[i, k] / distances[i, j] / distances[i, k]
                    cosines.append(cosine)
    expected, _ = np.histogram(cosines, 50, (-1, 1), density=True)
    assert np.allclose(adf(gas, 0.6).density, expected, rtol=1e-9)


def diamond() -> tuple[np.ndarray, np.ndarray]:
    """Positions (64, 3) of a 2 x 2 x 2 diamond lattice and its box, nm."""
    basis = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]])
    basis = np.concatenate([basis, basis + 1]) / 4
    corners = np.stack(np.meshgrid(*[np.arange(2)] * 3), axis=-1).reshape(-1, 1, 3)
    return 0.6 * (corners + basis).reshape(-1, 3), np.full(3, 1.2)


def test_tetrahedral_order_of_diamond_is_one():
    positions, box = diamond()
    assert np.allclose(tetrahedral_order(positions[None], box), 1, atol=1e-12)
    table = tetrahedral(trajectory(np.tile(positions, (4, 1, 1)), box=box))
    assert list(table.q) == [pytest.approx(0.99)]


def test_tetrahedral_order_of_an_ideal_gas_is_zero_on_average():
    order = tetrahedral_order(ideal_gas(7, frames=1000).positions, BOX).mean(axis=1)
    sigma = order.std() / np.sqrt(len(order))
    assert abs(order.mean()) < 4 * sigma < 0.02
    table = tetrahedral(ideal_gas(7, frames=1000))
    assert table.density.sum() * 0.02 == pytest.approx(1, rel=1e-12)


def test_pmf_of_a_known_rdf():
    table = rdf(ideal_gas(8), 0.02)
    table["rdf"] = np.where(table.r_nm < 0.2, 0, np.exp(-2.5 / (BOLTZMANN * 300) / table.r_nm**2))
    table["error"] = 0.01 * table["rdf"]
    result = pmf(table, 300)
    inner = table.r_nm < 0.2
    assert result.w_kj_per_mol[inner].isna().all()
    assert np.allclose(result.w_kj_per_mol[~inner], 2.5 / table.r_nm[~inner] ** 2)
    assert np.allclose(result.error_kj_per_mol[~inner], 0.01 * BOLTZMANN * 300)


def test_free_energy_of_q_gives_the_density_back():
    table = tetrahedral(ideal_gas(9))
    f = free_energy_q(table, 300).f_kj_per_mol
    assert f.min() == 0
    sampled = table.density > 0
    boltzmann = np.exp(-f[sampled] / (BOLTZMANN * 300))
    assert np.allclose(boltzmann / boltzmann.sum(), table.density[sampled] / table.density.sum())
    assert f[~sampled].isna().all()


def test_free_energy_over_r_and_theta_of_an_ideal_gas_is_flat():
    """2400 bins of unequal statistics: in units of the stated error, about their mean."""
    table = free_energy_r_theta(ideal_gas(10, frames=1500), 0.35, 300)
    assert len(table) == 60 * 40
    far = table[table.r_nm > 0.2]
    mean = np.average(far.f_kj_per_mol, weights=far.error_kj_per_mol**-2)
    deviations = (far.f_kj_per_mol - mean) / far.error_kj_per_mol
    assert np.mean(np.abs(deviations) < 3.25) == pytest.approx(0.99, abs=0.01)  # t, 9 degrees
    assert abs(np.mean(far.f_kj_per_mol - mean)) < 0.02 * BOLTZMANN * 300


# displacements


def test_msd_equals_the_direct_sum_and_tidynamics():
    motion = brownian(11, frames=300, sites=7, spacing=0.5, d=0.01)
    masses = np.linspace(1, 3, 7)
    motion = replace(motion, positions=motion.positions + 20, masses=masses)
    free = motion.positions - np.average(motion.positions, axis=1, weights=masses)[:, None]
    lag, blocks, sites = msd_samples(motion, 1000.0)
    steps = np.round(lag / 0.5).astype(int)
    assert steps[0] == 1 and 150 / 10**0.05 < steps[-1] <= 150
    for site in range(7):
        path = free[:, site]
        direct = [np.mean(np.sum((path[s:] - path[:-s]) ** 2, axis=1)) for s in steps]
        assert np.allclose(sites[site], direct, rtol=1e-10)
        assert np.allclose(sites[site], tidynamics.msd(path)[steps], rtol=1e-10)
    assert np.allclose(blocks.mean(axis=0), sites.mean(axis=0), rtol=1e-10)


def test_blocks_of_the_msd_hold_the_origins_of_their_time():
    """A stretch of tripled steps shows in the block that holds it, ninefold at the shortest lag."""
    motion = brownian(11, frames=1000, sites=5, spacing=0.5, d=0.01)
    faster = motion.positions.copy()
    faster[300:400] = faster[300] + 3 * (faster[300:400] - faster[300])
    faster[400:] += faster[399] - motion.positions[399]
    lag, blocks, _ = msd_samples(replace(motion, positions=faster), 2.0)
    assert lag[0] == 0.5
    fast = blocks[:, 0] / np.median(blocks[:, 0])
    assert fast[3] == pytest.approx(9, rel=0.2)
    assert np.allclose(np.delete(fast, 3), 1, atol=0.2)


def test_uniform_drift_leaves_no_trace_in_the_msd():
    motion = brownian(12, frames=200, sites=5, spacing=0.1, d=0.01)
    drift = np.arange(200)[:, None, None] * np.array([0.3, -0.2, 0.1])
    drifting = replace(motion, positions=motion.positions + drift)
    assert np.allclose(msd(motion, 10.0).msd_nm2, msd(drifting, 10.0).msd_nm2, rtol=1e-8)


def test_lags_are_those_asked_for():
    replicas = brownian(13, 2001, 2, 0.02, 0.01).replicas()
    lags = log_lags(replicas, 10.0, extra=[5.0, 3.0, 0.03, 30.0])
    assert lags[0] == 1 and 500 / 10**0.05 < lags[-1] <= 500
    assert {150, 250} <= set(lags)
    assert np.all(np.diff(lags) > 0)


def test_trajectories_of_different_lengths_have_their_lags_in_common():
    short, long = (brownian(14, frames, 2, 0.02, 0.01).replicas() for frames in (701, 3001))
    lags = log_lags(short, 1000.0)
    assert len(lags) > 30
    assert set(lags) < set(log_lags(long, 1000.0))


def test_scattering_has_one_sample_for_each_block_that_the_longest_lag_has_origins_for():
    motion = brownian(15, frames=60, sites=4, spacing=1.0, d=0.01, replicas=2)
    lags, samples = scattering_samples(motion, [5.0, 10.0], 100.0, 5.0)
    assert lags[-1] == 28
    assert samples.shape == (2 * 7, 2, len(lags))
    table = scattering_table([5.0, 10.0], lags, samples)
    assert np.allclose(samples.mean(axis=0).ravel(), table.fs)


def test_velocity_variance_is_that_of_the_velocities():
    """Of 50 sites with unit variance each component, less the centre's."""
    drawn = np.random.default_rng(16).normal(size=(400, 50, 3))
    moving = replace(brownian(16, 400, 50, 1.0, 0.01), velocities=drawn)
    _, products = velocity_products(moving, 5.0)
    assert products[:, 0].mean() == pytest.approx(3 * (1 - 1 / 50), rel=0.02)
    assert abs(products[:, 1:].mean()) < 0.05


def test_errors_of_the_msd_and_of_d_cover_the_truth():
    """40 runs of free Brownian motion: the deviations in units of the stated error have unit
    variance (sigma sqrt(2/40) = 0.22) and zero mean (sigma 0.16). The centre of mass takes 1/N."""
    sites, d, length = 30, 0.0025, 200.0
    exact = d * (1 - 1 / sites)
    deviations = []
    for seed in range(40):
        motion = brownian(100 + seed, 2000, sites, length / 2000, d, replicas=2 - seed % 2)
        lag, blocks, by_site = msd_samples(motion, 50.0)
        curve = msd_table(lag, blocks, by_site)
        fit = diffusion(lag, blocks, by_site, length).iloc[0]
        row = [(fit.d_nm2_per_ps - exact) / fit.error_nm2_per_ps]
        for wanted in (0.1, 5.0, 50.0):
            at = int(np.argmin(np.abs(lag - wanted)))
            row.append((curve.msd_nm2[at] - 6 * exact * lag[at]) / curve.error_nm2[at])
        deviations.append(row)
    deviations = np.array(deviations)
    assert np.all(np.abs(deviations.mean(axis=0)) < 4 * 0.16)
    assert np.all(np.abs(deviations.var(axis=0) - 1) < 3 * 0.22)


def test_diffusion_fit_ignores_an_offset_and_knows_its_range():
    lag = np.geomspace(0.1, 1000, 100)
    blocks = 6 * np.array([[0.002], [0.003]]) * lag + np.array([[0.05], [0.01]])
    sites = 6 * np.array([[0.0024], [0.0026]]) * lag
    fit = diffusion(lag, blocks, sites, 2000.0).iloc[0]
    assert fit.d_nm2_per_ps == pytest.approx(0.0025)
    assert fit.error_nm2_per_ps == pytest.approx(0.0005)
    assert 10 <= fit.fit_from_ps < fit.fit_to_ps <= 200
    assert fit_range(100.0) == (5.0, 10.0)
    with pytest.raises(DynmatchError, match="fewer than two lags"):
        diffusion(lag[:5], blocks[:, :5], sites[:, :5], 2000.0)


def test_longest_reliable_lag():
    table = msd(brownian(14, 4000, 30, 0.1, 0.002), 200.0)
    last = longest_reliable_lag(table)
    relative = table.error_nm2 / table.msd_nm2
    assert relative[table.lag_ps <= last].max() <= 0.05
    assert 1 < last < 200
    assert longest_reliable_lag(table.assign(error_nm2=table.msd_nm2)) == 0


def test_van_hove_of_brownian_motion_is_gaussian():
    """4 pi r^2 G_s with variance 2 D t per coordinate; populated bins, in stated errors."""
    sites, d, lag = 40, 0.005, 2.0
    motion = brownian(15, 4000, sites, 0.5, d, replicas=2)
    table = van_hove(motion, [lag], 2.0)
    variance = 2 * d * (1 - 1 / sites) * lag
    exact = stats.maxwell(scale=np.sqrt(variance))
    inside = (exact.cdf(table.r_nm) > 0.01) & (exact.cdf(table.r_nm) < 0.99)
    shells = np.diff(exact.cdf(np.append(table.r_nm - 0.005, table.r_nm.iloc[-1] + 0.005))) / 0.01
    assert_unbiased(normal(table.density_per_nm, shells, table.error_per_nm, 20)[inside])
    assert table.density_per_nm.sum() * 0.01 == pytest.approx(1, rel=1e-12)


def test_scattering_of_brownian_motion_is_exponential():
    sites, d = 40, 0.005
    motion = brownian(16, 4000, sites, 0.5, d, replicas=2)
    table = scattering(motion, [5.0, 10.0], 10.0, 2.0)
    exact = np.exp(-(table.k_per_nm**2) * d * (1 - 1 / sites) * table.lag_ps)
    assert np.max(np.abs(normal(table.fs, exact, table.error, 20))) < 4
    assert table.error.max() < 0.01
    assert exact.min() < 0.05


# velocities and contacts


def test_vacf_of_an_ornstein_uhlenbeck_process_is_exponential():
    """exp(-gamma t), by 20 blocks; the lags are correlated, so only a bound on each."""
    gamma, spacing, frames, sites = 5.0, 0.02, 6000, 40
    rng = np.random.default_rng(17)
    decay = np.exp(-gamma * spacing)
    noise = np.sqrt(1 - decay**2) * rng.normal(size=(2, frames, sites, 3))
    velocities = np.empty_like(noise)
    velocities[:, 0] = rng.normal(size=(2, sites, 3))
    for step in range(1, frames):
        velocities[:, step] = decay * velocities[:, step - 1] + noise[:, step]
    velocities = velocities.reshape(-1, sites, 3)
    motion = trajectory(np.zeros_like(velocities), spacing, velocities=velocities, replicas=2)
    table = vacf(motion, 1.0)
    assert len(table) == 51
    assert table.vacf[0] == 1 and table.error[0] < 1e-12
    deviations = (table.vacf - np.exp(-gamma * table.lag_ps))[1:] / table.error[1:]
    assert np.max(np.abs(deviations)) < 4
    assert table.error.max() < 0.01
    path = velocities[:frames] - velocities[:frames].mean(axis=1, keepdims=True)
    oracle = np.mean([tidynamics.acf(path[:, site])[:51] for site in range(sites)], axis=0)
    one = vacf(motion.frames(slice(0, frames)), 1.0)
    assert np.allclose(one.vacf, oracle / oracle[0], rtol=1e-9, atol=1e-12)


def test_vacf_without_velocities_is_an_empty_table():
    table = vacf(ideal_gas(18), 1.0)
    assert list(table) == ["lag_ps", "vacf", "error"] and table.empty


def test_survival_of_a_frozen_gas_is_one():
    frozen = trajectory(np.tile(ideal_gas(19).positions[:1], (200, 1, 1)), replicas=2)
    table = survival(frozen, 0.4, 2.0)
    assert np.all(table.survival == 1)
    assert np.all(table.error < 1e-12)


def test_survival_of_independent_frames_is_the_chance_of_contact():
    """Ideal gas redrawn every frame: C = volume of the shell / volume of the box at every lag."""
    table = survival(ideal_gas(20, frames=2000, replicas=2), 0.4, 1.0)
    chance = 4 / 3 * np.pi * 0.4**3 / np.prod(BOX)
    assert np.all(np.abs(table.survival - chance) < 4.5 * table.error)
    assert table.error.max() < 0.01


def test_survival_equals_the_direct_sum():
    motion = brownian(21, 60, 8, 1.0, 0.002)
    motion = replace(motion, positions=motion.positions + ideal_gas(21, sites=8).positions[0])
    table = survival(motion, 0.5, 2.0)
    vectors = motion.positions[:, :, None] - motion.positions[:, None]
    vectors -= BOX * np.round(vectors / BOX)
    i, j = np.triu_indices(8, 1)
    close = np.linalg.norm(vectors, axis=-1)[:, i, j] < 0.5
    start = np.arange(0, 60 - 6, 2)
    for lag, value in zip(table.lag_ps.astype(int), table.survival, strict=True):
        together = np.sum(close[start] & close[start + lag])
        assert value == pytest.approx(together / np.sum(close[start]), rel=1e-12)


# the set as a whole


SETTINGS = ObservableSettings(
    structure_spacing=1.0,
    rdf_bin=0.01,
    shell_cutoff=0.35,
    vacf_length=2.0,
    msd_length=50.0,
    scattering_k=(8.0, 16.0),
    van_hove_lags=(1.0, 5.0),
)


def liquid(replicas: int) -> SiteTrajectory:
    motion = brownian(22, 400, 40, 0.5, 0.002, replicas)
    return replace(
        motion, positions=(motion.positions + ideal_gas(22).positions[0]).astype(np.float32)
    )


@pytest.mark.parametrize("replicas", [1, 3])
def test_one_reference_and_several_replicas_take_the_same_code(replicas):
    tables, samples = observe("liquid", liquid(replicas), 300.0, SETTINGS, [5.0, 7.5])
    columns = {name: ",".join(table) for name, table in tables.items()}
    assert columns == {
        "rdf": "r_nm,rdf,error",
        "adf": "cos_theta,density,error",
        "tetrahedral": "q,density,error",
        "msd": "lag_ps,msd_nm2,error_nm2",
        "diffusion": "d_nm2_per_ps,error_nm2_per_ps,fit_from_ps,fit_to_ps",
        "vacf": "lag_ps,vacf,error",
        "van_hove": "lag_ps,r_nm,density_per_nm,error_per_nm",
        "scattering": "k_per_nm,lag_ps,fs,error",
        "survival": "lag_ps,survival,error",
        "pmf": "r_nm,w_kj_per_mol,error_kj_per_mol",
        "free_energy_q": "q,f_kj_per_mol,error_kj_per_mol",
        "free_energy_r_theta": "r_nm,cos_theta,f_kj_per_mol,error_kj_per_mol",
        "rdf_by_type": "types,r_nm,rdf,error",
        "bonded": "types,coordinate,value,density,error",
        "reorientation": "types,order,lag_ps,correlation,error",
    }
    assert {5.0, 7.5} <= set(tables["msd"].lag_ps)
    assert np.allclose(samples["rdf"].mean(axis=0), tables["rdf"].rdf)
    assert len(samples["rdf"]) == 10 * replicas
    assert len(samples["msd"]) == 10 * replicas
    assert len(samples["msd_by_site"]) == 40 * replicas


def test_thinning_starts_anew_in_every_replica():
    thin = thinned(brownian(23, 11, 3, 0.5, 0.01, replicas=2), 2.0)
    assert np.array_equal(thin.time, [0, 2, 4, 0, 2, 4])
    assert len(thin.replicas()) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"structure_spacing": 0.7}, "structure_spacing: 0.7 ps"),
        ({"shell_cutoff": 0.8}, "shell_cutoff: 0.8 nm is beyond half the box; take at most 0.7"),
        ({"van_hove_lags": (0.75,)}, "van_hove_lags: 0.75 ps"),
        ({"van_hove_lags": (400.0,)}, "van_hove_lags: 400 ps is not shorter"),
    ],
)
def test_settings_that_do_not_fit_are_named(change, message):
    with pytest.raises(DynmatchError, match=message):
        observe("liquid", liquid(1), 300.0, replace(SETTINGS, **change))


def test_there_is_no_rdf_without_a_box():
    with pytest.raises(DynmatchError, match="no periodic box"):
        rdf(ideal_gas(24, box=None), 0.01)
