"""The row of the summary of the number of neighbours."""

import numpy as np

from dynmatch.summary.rows import Compared, Row, row


def coordination_rows(compared: Compared) -> list[Row]:
    """Mean number of neighbours, less the reference's."""
    parts = compared.samples("coordination")
    return [row(compared, "coordination", "difference", _difference, parts, target=0.0)]


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.arange(len(first)) @ (first - second))
