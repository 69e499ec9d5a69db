"""Block averaging, ratios and the jackknife against closed forms."""

import numpy as np
import pytest

from dynmatch.statistics import (
    block_means,
    block_slices,
    jackknife_error,
    mean_and_error,
    mean_and_larger_error,
    ratio_samples,
)


def autoregressive(rng, series: int, length: int, persistence: float) -> np.ndarray:
    """Stationary AR(1) series (length, series) of unit variance."""
    noise = rng.normal(size=(length, series)) * np.sqrt(1 - persistence**2)
    x = np.empty_like(noise)
    x[0] = rng.normal(size=series)
    for step in range(1, length):
        x[step] = persistence * x[step - 1] + noise[step]
    return x


def test_blocks_cover_all_frames_once_and_evenly():
    slices = block_slices(1003, 10)
    covered = np.concatenate([np.arange(1003)[block] for block in slices])
    assert np.array_equal(covered, np.arange(1003))
    assert {block.stop - block.start for block in slices} == {100, 101}
    assert len(block_slices(4, 10)) == 4


def test_block_error_of_an_autoregressive_series_is_the_closed_form():
    """Var(mean) = (1 + a) / (1 - a) / L to order 1/L; 400 series, 10 blocks of 500 >> 1/(1 - a)."""
    persistence, length, series = 0.9, 5000, 400
    x = autoregressive(np.random.default_rng(1), series, length, persistence)
    _, error = mean_and_error(block_means(x))
    exact = (1 + persistence) / (1 - persistence) / length
    # neighbouring blocks share a boundary layer: a relative bias of order 1 / (block (1 - a))
    bias = exact * 2 / (length / 10 * (1 - persistence))
    sigma = exact * np.sqrt(2 / 9 / series)
    assert abs(np.mean(error**2) - exact) < 4 * sigma + bias
    _, naive = mean_and_error(x)
    assert np.mean(naive**2) < 0.1 * exact


def test_error_of_one_sample_is_unknown():
    mean, error = mean_and_error(np.array([[1.0, 2.0]]))
    assert np.array_equal(mean, [1.0, 2.0])
    assert np.isnan(error).all()


def test_ratio_has_the_value_of_the_means_and_no_error_where_it_is_constant():
    rng = np.random.default_rng(2)
    denominator = rng.uniform(1, 3, (20, 1))
    numerator = np.concatenate([0.5 * denominator, rng.uniform(0, 1, (20, 1))], axis=1)
    value, error = mean_and_error(ratio_samples(numerator, denominator))
    assert np.allclose(value, numerator.mean(axis=0) / denominator.mean(), rtol=1e-12)
    assert error[0] < 1e-15
    assert error[1] > 0.01


def test_ratio_error_covers_the_truth():
    """Normalised deviations over 2000 repetitions have unit variance (sigma 0.03), S = 50."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=(2000, 50, 1))
    numerator = 3 + 0.3 * common + 0.2 * rng.normal(size=common.shape)
    denominator = 2 + 0.3 * common
    deviations = []
    for n, d in zip(numerator, denominator, strict=True):
        value, error = mean_and_error(ratio_samples(n, d))
        deviations.append((value[0] - 1.5) / error[0])
    # Student's t with 49 degrees of freedom: variance 49/47
    assert np.var(deviations) == pytest.approx(49 / 47, abs=4 * 0.033)


def test_jackknife_of_a_mean_is_its_standard_error():
    samples = np.random.default_rng(4).normal(size=(30, 1))
    _, error = mean_and_error(samples)
    assert jackknife_error(lambda mean: float(mean[0]), [samples]) == pytest.approx(error[0])


def test_jackknife_adds_independent_groups_and_carries_correlations():
    """A sum over fully correlated bins has the sum of their errors, groups add in quadrature."""
    rng = np.random.default_rng(5)
    first = rng.normal(size=(40, 1)) * np.ones(3)
    second = rng.normal(size=(25, 3))
    value = jackknife_error(lambda a, b: float(a.sum() - b.sum()), [first], [second])
    _, error = mean_and_error(first[:, 0])
    _, other = mean_and_error(second.sum(axis=1))
    assert value == pytest.approx(float(np.hypot(3 * error, other)))
    assert np.isnan(jackknife_error(lambda a, b: float(a.sum() - b.sum()), [first], [second[:1]]))


def test_of_two_groupings_the_one_that_carries_the_correlation_counts():
    """Cells (20 blocks, 30 sites), everything common to the sites of a block: blocks are right."""
    cells = np.random.default_rng(6).normal(size=(20, 1)) + np.zeros((20, 30))
    by_block, by_site = cells.mean(axis=1, keepdims=True), cells.mean(axis=0)[:, None]
    value, error = mean_and_larger_error(by_block, by_site)
    expected = cells[:, 0].std(ddof=1) / np.sqrt(20)
    assert value[0] == pytest.approx(cells.mean())
    assert error[0] == pytest.approx(expected)
    for groupings in ([by_block, by_site], [by_site, by_block], [by_block, by_site[:1]]):
        assert jackknife_error(lambda mean: float(mean[0]), groupings) == pytest.approx(expected)
