"""All observables of one molecule's trajectory, as the tables that go to file."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dynmatch.observables import torsions
from dynmatch.observables.centre import centre_diffusion, centre_msd
from dynmatch.sites.trajectory import SiteTrajectory


def observe(
    trajectory: SiteTrajectory, temperature: float, settings: Mapping
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Every observable: the tables by name, and the samples behind those that are compared.

    temperature in K; settings as the config's `observables`. The samples, by time blocks, are
    `ramachandran` (S, BINS, BINS), `populations` (S, basins), and `transitions_phi` and
    `transitions_psi` (S, STATES^2) within `timescale_lag` (ps).

    Raises DynmatchError where the sites are not one molecule with two torsions.
    """
    spacing, lag = trajectory.frame_spacing, settings["timescale_lag"]
    angles = torsions.torsion_angles(trajectory)
    blocks = torsions.torsion_blocks(angles)
    ramachandran = torsions.ramachandran_samples(blocks)
    populations = torsions.population_samples(blocks)
    correlation = torsions.correlation_samples(
        blocks, round(settings["correlation_length"] / spacing)
    )
    transitions = torsions.transition_samples(blocks, round(lag / spacing))
    timescales = torsions.timescales(transitions, lag)
    tables = {
        "ramachandran": torsions.ramachandran(ramachandran, temperature),
        "torsion_free_energy": torsions.torsion_free_energy(ramachandran, temperature),
        "populations": torsions.populations(populations),
        "torsion_correlation": torsions.correlation(correlation, spacing),
        "timescales": timescales.merge(torsions.crossings(angles)),
        "msd": centre_msd(trajectory, settings["msd_length"]),
        "diffusion": centre_diffusion(trajectory),
    }
    samples = {"ramachandran": ramachandran, "populations": populations}
    samples |= {f"transitions_{name}": values for name, values in transitions.items()}
    return tables, samples
