"""A trained model as a table u(r) for an engine of pairs alone: pair.txt, nm and kJ/mol."""

from pathlib import Path

import numpy as np

from dynmatch.errors import DynmatchError
from dynmatch.model import Model
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.storage.atomic import replacing

NODES = 500


def write(folder: str | Path, model: Model, start: SiteTrajectory, name: str) -> list[Path]:
    """Write the files of `model`, which is called `name`, into `folder`, and return them.

    Raises DynmatchError when there is more to the potential than pairs of sites of one type.
    """
    kinds = [term.kind for term in model.potential.terms]
    if kinds != ["pair"] or len(model.potential.names) > 1:
        raise DynmatchError(f"pair.txt holds pairs of one type, and the model has {kinds}")
    (pair,) = model.potential.terms
    (energy,) = pair.tabulate(model.parameters).energy
    r2 = np.linspace(0.0, pair.cutoff**2, len(energy))
    r = np.linspace(0.5 * pair.cores[0], pair.cutoff, NODES)
    path = Path(folder) / "pair.txt"
    with replacing(path) as temporary:
        np.savetxt(temporary, np.column_stack([r, np.interp(r**2, r2, energy)]), header=name)
    return [path]
