"""Large arrays in nameless files, mapped into memory: the system pages out what is not in use.

The files lie in the temporary folder (TMPDIR) and are gone with the process.
"""

import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np

LARGE = 256 * 2**20
"""Bytes from which an array is mapped."""
CHUNK = 16 * 2**20
"""Bytes copied at a time."""


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array without values yet: mapped where it is `LARGE`, in memory where not.

    Raises OSError when the temporary folder has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        # a mapped file that meets a full disk later on kills the process
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "r+", shape=shape)


class Growing:
    """Rows of an array that come one chunk after the other, on disk until it is complete."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype):
        """`shape` of a row."""
        self._file, self._shape, self._dtype = tempfile.TemporaryFile(), shape, np.dtype(dtype)

    def append(self, rows: np.ndarray) -> None:
        np.ascontiguousarray(rows, self._dtype).tofile(self._file)

    def array(self) -> np.ndarray:
        """What has been appended: mapped where it is `LARGE`, in memory where not."""
        self._file.flush()
        rows = self._file.tell() // (int(np.prod(self._shape)) * self._dtype.itemsize)
        if self._file.tell() >= LARGE:
            return np.memmap(self._file, self._dtype, "r+", shape=(rows, *self._shape))
        self._file.seek(0)
        return np.fromfile(self._file, self._dtype).reshape(rows, *self._shape)


def release(array: np.ndarray) -> None:
    """Give back the memory that a mapped array takes up; its values are in its file."""
    if isinstance(array, np.memmap):
        array._mmap.madvise(mmap.MADV_DONTNEED)


def rows_at_once(shape: tuple[int, ...], dtype: np.dtype) -> int:
    """Entries along the first axis that make up a chunk."""
    row = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize
    return max(1, CHUNK // max(1, row))


def concatenate(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one after the other along the first axis; mapped where the whole is `LARGE`."""
    if len(arrays) == 1:
        return arrays[0]
    whole = empty((sum(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    step, done = rows_at_once(whole.shape, whole.dtype), 0
    for array in arrays:
        for first in range(0, len(array), step):
            some = array[first : first + step]
            whole[done : done + len(some)] = some
            done += len(some)
            release(array)
            release(whole)
    return whole


def take(array: np.ndarray, index: np.ndarray) -> np.ndarray:
    """array[index] for an array of integers."""
    taken = empty((len(index), *array.shape[1:]), array.dtype)
    step = rows_at_once(taken.shape, taken.dtype)
    for start in range(0, len(index), step):
        taken[start : start + step] = array[index[start : start + step]]
    return taken


def of_sites(array: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """array[:, sites] of (F, N, 3), in memory; little more of a mapped array is."""
    taken = np.empty((len(array), len(sites), *array.shape[2:]), array.dtype)
    step = rows_at_once(array.shape, array.dtype)
    for start in range(0, len(array), step):
        taken[start : start + step] = array[start : start + step, sites]
        release(array)
    return taken


def by_site(array: np.ndarray) -> np.ndarray:
    """array (F, N, 3) as (N, 3, F): a copy, site by site, where mapped; a view where in memory."""
    if not isinstance(array, np.memmap):
        return array.transpose(1, 2, 0)
    frames = len(array)
    turned = empty((*array.shape[1:], frames), array.dtype)
    step = rows_at_once(array.shape, array.dtype)
    for start in range(0, frames, step):
        some = slice(start, start + step)
        turned[..., some] = array[some].transpose(1, 2, 0)
    return turned
