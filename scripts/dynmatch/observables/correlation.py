"""Time correlations over all origins by fast Fourier transform, in float64, block by block."""

from collections.abc import Iterator

import numpy as np
from scipy import fft

from dynmatch.statistics import block_slices
from dynmatch.storage import memmap

CHUNK = 200_000
"""Numbers of one float64 series chunk, about what a core's cache holds."""


def site_chunks(values: np.ndarray, drift: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Series of `values` (F, N, 3), `drift` (F, 3) taken off, a few sites at a time.

    Yields the slice of sites and their series (sites, 3, F), contiguous and in float64.
    """
    frames, sites, _ = values.shape
    chunk = max(1, CHUNK // (3 * frames))
    by_site = memmap.by_site(values)
    for start in range(0, sites, chunk):
        index = slice(start, min(start + chunk, sites))
        yield index, np.ascontiguousarray(by_site[index], np.float64) - drift.T


def origin_counts(frames: int, lags: np.ndarray) -> np.ndarray:
    """Number of time origins in every block that leave room for every lag: (B, L)."""
    edges = [(block.start, block.stop) for block in block_slices(frames)]
    return np.array([np.clip(frames - lags, start, stop) - start for start, stop in edges])


def correlation_sums(series: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Sums of x(t) . x(t + lag) over the origins t in every block of `series` (..., 3, F).

    (..., B, L), by the correlation theorem, padded with zeros so that the ends do not wrap around.
    """
    last = int(lags.max())
    sums = []
    for block in block_slices(series.shape[-1]):
        size = fft.next_fast_len(block.stop - block.start + last, real=True)
        origins = fft.rfft(series[..., block], size)
        later = fft.rfft(series[..., block.start : block.stop + last], size)
        # the products of the components are transformed back together
        product = np.einsum("...xf,...xf->...f", origins.conj(), later)
        sums.append(fft.irfft(product, size)[..., lags])
    return np.stack(sums, axis=-2)
