"""Quality check of an all-atom production of one molecule in a solvent."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from dynmatch.statistics import block_means, mean_and_error
from dynmatch.systems.all_atom.checks import require_temperature
from dynmatch.systems.all_atom.particles import degrees_of_freedom, masses
from dynmatch.systems.all_atom.segments import Segment
from dynmatch.systems.all_atom.simulation import ReferenceSettings
from dynmatch.systems.molecule.build import Molecule
from dynmatch.units import BOLTZMANN


def assess(replicas: Iterable[Iterable[Segment]], molecule: Molecule) -> pd.DataFrame:
    """Columns quantity, value, error, unit: temperature of the molecule, and potential energy.

    All replicas are taken together, and the energy is that of the solvent too. Errors are standard
    errors from ten blocks in time of each replica.
    """
    mass = masses(molecule.system)[: molecule.recorded]
    scale = degrees_of_freedom(molecule.system, molecule.recorded) * BOLTZMANN
    temperature, potential = [], []
    for replica in replicas:
        kinetic, energies = [], []
        for segment in replica:
            kinetic.append(np.sum(segment.velocities**2, axis=-1) @ mass / scale)
            energies.append(segment.potential)
        temperature.append(block_means(np.concatenate(kinetic)))
        potential.append(block_means(np.concatenate(energies)))
    rows = [
        ("temperature", *mean_and_error(np.concatenate(temperature)), "K"),
        ("potential_energy", *mean_and_error(np.concatenate(potential)), "kJ/mol"),
    ]
    return pd.DataFrame(rows, columns=["quantity", "value", "error", "unit"])


def require_sound(table: pd.DataFrame, settings: ReferenceSettings) -> None:
    """Raise DynmatchError, naming a key of the config, when the temperature is plainly wrong."""
    value, error = table.set_index("quantity").loc["temperature", ["value", "error"]]
    require_temperature(value, error, settings)
