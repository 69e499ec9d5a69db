"""The potential of a liquid in a wave: that of a liquid, and the wave, which is known."""

from dataclasses import replace

from dynmatch.bottom_up import boltzmann_inversion
from dynmatch.potentials.registry import form_of
from dynmatch.potentials.sum import Potential
from dynmatch.settings import PotentialSettings
from dynmatch.sites.trajectory import SiteTrajectory

AMPLITUDE = 1.5
"""Of the wave, kJ/mol."""


def start(
    trajectory: SiteTrajectory, kT: float, settings: PotentialSettings
) -> tuple[Potential, dict]:
    """As `boltzmann_inversion.start`, and the wave."""
    potential, parameters = boltzmann_inversion.start(trajectory, kT, settings)
    terms = (*potential.terms, form_of("wave")(AMPLITUDE))
    return replace(potential, terms=terms), parameters
