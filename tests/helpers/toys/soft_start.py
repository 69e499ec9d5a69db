"""A potential to start from: that of a liquid, on top of a soft repulsion, which is fixed."""

from dataclasses import replace

from dynmatch.bottom_up import boltzmann_inversion
from dynmatch.potentials.registry import form_of
from dynmatch.potentials.sum import Potential
from dynmatch.settings import PotentialSettings
from dynmatch.sites.trajectory import SiteTrajectory

STRENGTH = 5.0
"""Of the soft repulsion, kJ/mol."""


def start(
    trajectory: SiteTrajectory, kT: float, settings: PotentialSettings
) -> tuple[Potential, dict]:
    """As `boltzmann_inversion.start`, and the repulsion up to the cutoff."""
    potential, parameters = boltzmann_inversion.start(trajectory, kT, settings)
    terms = (*potential.terms, form_of("soft")(settings.cutoff, STRENGTH))
    return replace(potential, terms=terms), parameters
