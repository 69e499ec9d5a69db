"""HDF5 files from other hands, which may hold pickles: PyTables would run them."""

import pickle
from types import SimpleNamespace

import tables.atom
import tables.attributeset


def refuse_pickles() -> None:
    """From now on, PyTables in this process gives pickled attributes as bytes, and fails on arrays.

    PyTables (3.11) has no setting for this: it unpickles every attribute that looks like a pickle,
    some of them already when a file is opened.
    """
    for module in (tables.attributeset, tables.atom):
        module.pickle = _WITHOUT_LOADING


def _refuse(*_, **__):
    raise pickle.UnpicklingError("an HDF5 file holds a pickled object, which is not loaded")


_WITHOUT_LOADING = SimpleNamespace(
    loads=_refuse, dumps=pickle.dumps, HIGHEST_PROTOCOL=pickle.HIGHEST_PROTOCOL
)
