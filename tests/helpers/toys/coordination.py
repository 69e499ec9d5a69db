"""An observable as a user adds one: how many neighbours a site has in its first shell."""

import numpy as np
import pandas as pd

from dynmatch.observables.frames import structure
from dynmatch.observables.neighbours import neighbours_within
from dynmatch.observables.observed import Observed
from dynmatch.statistics import block_slices, mean_and_error

MOST = 30
"""Neighbours that are told apart."""


def observe_coordination(observed: Observed) -> pd.DataFrame:
    """Columns neighbours, probability, error."""
    value, error = mean_and_error(observed.once(_of_blocks))
    columns = {"neighbours": np.arange(MOST), "probability": value, "error": error}
    return pd.DataFrame(columns)


def samples_of_coordination(observed: Observed) -> dict[str, np.ndarray]:
    """`coordination` (B, MOST)."""
    return {"coordination": observed.once(_of_blocks)}


def _of_blocks(observed: Observed) -> np.ndarray:
    frames, cutoff = observed.once(structure), observed.settings.shell_cutoff
    counts = [
        np.bincount(
            neighbours_within(replica.positions[block], replica.box, cutoff)[0], minlength=MOST
        )[:MOST]
        for replica in frames.replicas()
        for block in block_slices(replica.n_frames)
    ]
    return np.array([count / count.sum() for count in counts])
