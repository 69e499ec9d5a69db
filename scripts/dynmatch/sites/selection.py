"""Atoms in MDTraj's selection language, with errors that name the key."""

import mdtraj
import numpy as np

from dynmatch.errors import DynmatchError, told


def select(topology: mdtraj.Topology, text: str, key: str) -> np.ndarray:
    """(n,) indices of the atoms, ascending.

    Raises DynmatchError, naming `key`, for what MDTraj does not understand, or selects nothing.
    """
    try:
        atoms = topology.select(text)
    except Exception as error:  # MDTraj's parser raises what its parts raise
        raise DynmatchError(
            f"{key}: '{text}' is no selection that MDTraj understands: {told(error)}"
        ) from error
    if len(atoms) == 0:
        names = ", ".join(dict.fromkeys(atom.name for atom in topology.atoms))
        raise DynmatchError(
            f"{key}: '{text}' selects no atom of the topology; its atoms are called {names[:120]}"
        )
    return atoms
