"""How close the models of a molecule come to its reference, as rows of `summary`."""

import numpy as np
import pandas as pd

from dynmatch.observables.torsions import BASINS, NAMES, jensen_shannon, slowest_timescale
from dynmatch.statistics import jackknife_error, mean_and_error
from dynmatch.summary.liquid import Row, Samples, diffusion_rows


def molecule_rows(
    model: Samples,
    reference: Samples,
    diffusion: tuple[pd.DataFrame, pd.DataFrame],
    lag: float,
) -> list[Row]:
    """All rows of one model and seed: (observable, metric, value, error).

    model and reference as the samples of `observables.molecule.observe`, `diffusion` their tables
    of D in that order, and `lag` (ps) of the Markov models.

    fes jsd             Jensen-Shannon divergence (natural logarithm) of the densities of phi and
                        psi where the reference has been
    fes outside         probability where it has not
    population NAME     of a basin, less the reference's
    timescale phi, psi  slowest timescale over the reference's
    """
    ours, theirs = model["ramachandran"], reference["ramachandran"]
    rows = [
        ("fes", "jsd", *_compared(jensen_shannon, ours, theirs)),
        ("fes", "outside", *_compared(_outside, ours, theirs)),
    ]
    value, error = mean_and_error(model["populations"])
    expected, uncertainty = mean_and_error(reference["populations"])
    for basin, *numbers in zip(BASINS, value - expected, np.hypot(error, uncertainty), strict=True):
        rows.append(("population_difference", basin, *map(float, numbers)))

    def ratio(first: np.ndarray, second: np.ndarray) -> float:
        return slowest_timescale(first, lag) / slowest_timescale(second, lag)

    for name in NAMES:
        samples = (one[f"transitions_{name}"] for one in (model, reference))
        rows.append(("timescale_ratio", name, *_compared(ratio, *samples)))
    return rows + diffusion_rows(*diffusion)


def _outside(first: np.ndarray, second: np.ndarray) -> float:
    return float(first[second == 0].sum())


def _compared(metric, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """metric(mean of ours, mean of theirs) and its standard error by a jackknife."""
    value = metric(ours.mean(axis=0), theirs.mean(axis=0))
    return value, jackknife_error(metric, [ours], [theirs])
