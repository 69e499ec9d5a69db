"""Checks of every all-atom production."""

from dynmatch.errors import DynmatchError
from dynmatch.systems.all_atom.simulation import ReferenceSettings

SIGMAS = 5
TEMPERATURE_OFF = 0.05
"""Relative deviation of the mean temperature that is a failure where it exceeds SIGMAS errors."""


def require_temperature(value: float, error: float, settings: ReferenceSettings) -> None:
    """Raise DynmatchError, naming keys of the config, when a mean temperature is plainly wrong.

    value and its standard error in K.
    """
    off = abs(value - settings.temperature)
    if off > max(TEMPERATURE_OFF * settings.temperature, SIGMAS * error):
        where = settings.where
        raise DynmatchError(
            f"all-atom reference: its temperature, {value:.1f} +- {error:.1f} K, is not the "
            f"{settings.temperature:g} K asked for; make {where}.equilibration longer or "
            f"{where}.time_step shorter"
        )
