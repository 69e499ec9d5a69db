"""How close the models of a molecule come to its reference."""

import numpy as np

from dynmatch.observables.torsions import BASINS, NAMES, jensen_shannon, slowest_timescale
from dynmatch.summary.rows import Compared, Row, row


def free_energy_rows(compared: Compared) -> list[Row]:
    """Jensen-Shannon divergence (natural logarithm) of the densities of phi and psi where the
    reference has been, and the probability where it has not. Null: all angles alike."""
    parts = compared.samples("ramachandran")
    uniform = np.full(compared.reference["ramachandran"].shape[1:], 1.0)
    uniform /= uniform.size
    return [
        row(compared, "fes", "jsd", jensen_shannon, parts, degree=2, null=uniform),
        row(compared, "fes", "outside", _outside, parts, degree=0, null=uniform),
    ]


def population_rows(compared: Compared) -> list[Row]:
    """Population of each basin, less the reference's."""
    parts = compared.samples("populations")
    return [
        row(
            compared,
            "population_difference",
            basin,
            _difference,
            [[samples[:, number] for samples in groupings] for groupings in parts],
            target=0.0,
        )
        for number, basin in enumerate(BASINS)
    ]


def timescale_rows(compared: Compared) -> list[Row]:
    """Slowest timescale of phi and of psi, over the reference's."""
    lag = compared.settings["observables.timescale_lag"]

    def ratio(first: np.ndarray, second: np.ndarray) -> float:
        return slowest_timescale(first, lag) / slowest_timescale(second, lag)

    rows = []
    for name in NAMES:
        parts = compared.samples(f"transitions_{name}")
        found = row(compared, "timescale_ratio", name, ratio, parts, target=1.0)
        if np.isnan(found.value):
            found = found._replace(status="no slow motion in the model or in the reference")
        rows.append(found)
    return rows


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(first - second)


def _outside(first: np.ndarray, second: np.ndarray) -> float:
    return float(first[second == 0].sum())
