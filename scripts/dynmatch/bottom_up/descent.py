"""The one loop that relative entropy and force matching descend by."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax

REPORT_EVERY = 25
"""Updates between two rows of the history."""
FADING = 10.0
"""Updates in which the mean of the parameters forgets where it began."""
LONGEST_MEMORY = 0.99
"""Weight of the past in that mean, at most."""


def descend(
    update: Callable[[int, dict, Any], tuple[dict, Any, float]],
    parameters: dict,
    carried: Any,
    updates: int,
    report: Callable[[dict], None],
    measure: Callable[[int, float], dict[str, float]],
) -> dict:
    """The running mean of the parameters after `updates` calls of `update`.

    update(number, parameters, carried) -> parameters, carried, norm of the gradient. Every
    `REPORT_EVERY` updates, and after the last, `report` gets {"update", "minutes",
    **measure(number, norm), "gradient_norm"}.
    """
    begun = time.monotonic()
    averaged = parameters
    for number in range(1, updates + 1):
        parameters, carried, norm = update(number, parameters, carried)
        keep = min(LONGEST_MEMORY, number / (number + FADING))
        averaged = optax.incremental_update(parameters, averaged, 1 - keep)
        if number % REPORT_EVERY == 0 or number == updates:
            minutes = (time.monotonic() - begun) / 60
            norm = float(np.asarray(jax.device_get(norm)))
            report(
                {"update": number, "minutes": minutes}
                | measure(number, norm)
                | {"gradient_norm": norm}
            )
    return averaged
