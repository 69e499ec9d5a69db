"""How close the models of a molecule come to its reference."""

import numpy as np

from dynmatch.observables.torsions import BASINS, NAMES, jensen_shannon, slowest_timescale
from dynmatch.statistics import mean_and_error
from dynmatch.summary.rows import Compared, Row, row


def free_energy_rows(compared: Compared) -> list[Row]:
    """Jensen-Shannon divergence (natural logarithm) of the densities of phi and psi where the
    reference has been, and the probability where it has not."""
    samples = [compared.model["ramachandran"]], [compared.reference["ramachandran"]]
    return [row("fes", "jsd", jensen_shannon, *samples), row("fes", "outside", _outside, *samples)]


def population_rows(compared: Compared) -> list[Row]:
    """Population of each basin, less the reference's."""
    value, error = mean_and_error(compared.model["populations"])
    expected, uncertainty = mean_and_error(compared.reference["populations"])
    differences = zip(BASINS, value - expected, np.hypot(error, uncertainty), strict=True)
    return [
        ("population_difference", basin, *map(float, numbers)) for basin, *numbers in differences
    ]


def timescale_rows(compared: Compared) -> list[Row]:
    """Slowest timescale of phi and of psi, over the reference's."""
    lag = compared.settings["observables.timescale_lag"]

    def ratio(first: np.ndarray, second: np.ndarray) -> float:
        return slowest_timescale(first, lag) / slowest_timescale(second, lag)

    def samples(name: str) -> list[list[np.ndarray]]:
        return [[one[f"transitions_{name}"]] for one in (compared.model, compared.reference)]

    return [row("timescale_ratio", name, ratio, *samples(name)) for name in NAMES]


def _outside(first: np.ndarray, second: np.ndarray) -> float:
    return float(first[second == 0].sum())
