"""What PyTables leaves open: pickles in files from other hands, and writes that fail unnoticed."""

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import tables
import tables.atom
import tables.attributeset

from dynmatch.errors import DynmatchError
from dynmatch.storage.atomic import replacing

ROWS = 1000
"""Read back at a time."""


@contextmanager
def replacing_hdf5(path: str | os.PathLike) -> Iterator[Path]:
    """`files.replacing` for an HDF5 file, which is read back before it gets its name.

    When the disk is full, PyTables (3.11) neither raises when it writes nor when it closes a file.

    Raises DynmatchError when the file is not whole.
    """
    with replacing(path) as temporary:
        try:
            yield temporary
            _read_all(temporary)
        except tables.HDF5ExtError as error:
            raise DynmatchError(
                f"{path}: cannot be written (read back, it is not whole, as happens on a full "
                "disk); make room there, or take another folder, and run it again"
            ) from error


def _read_all(path: Path) -> None:
    """Read every array of the file; checksums are verified. Raises HDF5ExtError."""
    with tables.open_file(str(path)) as file:
        for leaf in file.walk_nodes(classname="Leaf"):
            for first in range(0, leaf.nrows, ROWS):
                leaf.read(first, first + ROWS)


def refuse_pickles() -> None:
    """From now on, PyTables in this process gives pickled attributes as bytes, and fails on arrays.

    PyTables (3.11) has no setting for this: it unpickles every attribute that looks like a pickle,
    some of them already when a file is opened.
    """
    for module in (tables.attributeset, tables.atom):
        module.pickle = _WITHOUT_LOADING


def _refuse(*_, **__):
    raise tables.HDF5ExtError("it holds a pickled object, which is not loaded")


_WITHOUT_LOADING = SimpleNamespace(
    loads=_refuse, dumps=pickle.dumps, HIGHEST_PROTOCOL=pickle.HIGHEST_PROTOCOL
)
