"""All observables of one trajectory."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dynmatch.observables.observed import Observed
from dynmatch.observables.registry import ANALYSES
from dynmatch.runtime.names import named
from dynmatch.settings import Settings
from dynmatch.sites.trajectory import SiteTrajectory


def observe(
    analysis: str,
    trajectory: SiteTrajectory,
    temperature: float,
    settings: Settings,
    lags: Sequence[float] = (),
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Every observable of an analysis: the tables by name, and the samples behind some of them.

    analysis  a name of `registry.ANALYSES`, with settings of its class; the rest as in `Observed`

    Samples are arrays by time blocks, the first axis that of the samples, from which errors of
    quantities that join many bins can be computed; see the functions `samples_of_...`. With them
    is the `duration`, ps, of all replicas together.

    Raises DynmatchError when the trajectory does not fit the analysis or the settings.
    """
    observed = Observed(trajectory, temperature, settings, lags)
    cards = ANALYSES[analysis].observables
    tables = {name: observed.once(named(card.table)) for name, card in cards.items()}
    samples = {"duration": np.array(trajectory.n_frames * trajectory.frame_spacing)}
    for card in cards.values():
        if card.samples:
            samples |= named(card.samples)(observed)
    return tables, samples
