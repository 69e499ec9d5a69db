"""Means and standard errors from samples that may be taken as independent.

An observable is first reduced to samples: one estimate per time block (or per site) and replica.
Its value is their mean and its error their standard error; this module is the one place where the
two are formed.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

BLOCKS = 10
"""Blocks per replica: few enough to be long against the correlation time of a liquid."""


def block_slices(length: int, blocks: int = BLOCKS) -> list[slice]:
    """Cut `length` successive frames into at most `blocks` blocks, equal to within one frame."""
    edges = np.linspace(0, length, min(blocks, length) + 1).round().astype(int)
    return [slice(a, b) for a, b in pairwise(edges)]


def block_means(series: np.ndarray, blocks: int = BLOCKS) -> np.ndarray:
    """Means over successive blocks of a time series (F, ...): samples (B, ...).

    H. Flyvbjerg and H. G. Petersen, J. Chem. Phys. 91, 461 (1989), doi:10.1063/1.457480, at the
    one block length that is long against the correlation time.
    """
    return np.stack([series[block].mean(axis=0) for block in block_slices(len(series), blocks)])


def mean_and_error(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis of samples (S, ...) and its standard error, s / sqrt(S).

    The error is NaN where there is only one sample.
    """
    samples = np.asarray(samples, np.float64)
    mean = samples.mean(axis=0)
    if len(samples) < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, samples.std(axis=0, ddof=1) / np.sqrt(len(samples))


def mean_and_larger_error(*groupings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error where the same data are grouped into samples in several ways.

    The groupings (S_i, ...) have the same mean. The largest of their errors is taken: each of them
    misses the correlations between its own samples.
    """
    errors = [mean_and_error(samples)[1] for samples in groupings]
    return mean_and_error(groupings[0])[0], np.fmax.reduce(errors)


def ratio_samples(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Samples (S, ...) whose mean is the ratio of means and whose spread is that ratio's.

    numerator (S, ...) and denominator, broadcast against it, are paired sample by sample.
    Linearised: R + (n_s - R d_s) / <d> with R = <n> / <d>.
    W. G. Cochran, Sampling Techniques (1977), ch. 6.
    """
    mean = denominator.mean(axis=0)
    ratio = numerator.mean(axis=0) / mean
    return ratio + (numerator - ratio * denominator) / mean


def jackknife_error(metric: Callable[..., float], *groups: Sequence[np.ndarray]) -> float:
    """Standard error of metric(mean of group 1, mean of group 2, ...), delete-one jackknife.

    The groups are independent of each other, so their variances add. Each is a sequence of one or
    more groupings of the same data into samples (S, ...), as in `mean_and_larger_error`; of their
    variances the largest is taken. NaN when all groupings of a group have only one sample.
    B. Efron and C. Stein, Ann. Stat. 9, 586 (1981), doi:10.1214/aos/1176345462.
    """
    means = [groupings[0].mean(axis=0) for groupings in groups]
    variance = 0.0
    for position, groupings in enumerate(groups):

        def with_mean(mean: np.ndarray, position: int = position) -> float:
            return metric(*means[:position], mean, *means[position + 1 :])

        variance += np.fmax.reduce([_jackknife(with_mean, samples) for samples in groupings])
    return float(np.sqrt(variance))


def _jackknife(metric: Callable[[np.ndarray], float], samples: np.ndarray) -> float:
    """Variance of metric(mean of the samples)."""
    size = len(samples)
    if size < 2:
        return np.nan
    total = samples.sum(axis=0)
    return (size - 1) * np.var([metric((total - sample) / (size - 1)) for sample in samples])


def ratio_of(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """The ratio of two independent values with standard errors, and its own: relative errors add up
    as squares."""
    (value, error), (expected, uncertainty) = first, second
    ratio = value / expected
    return ratio, abs(ratio) * float(np.hypot(error / value, uncertainty / expected))
