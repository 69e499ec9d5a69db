"""Quality check of a liquid's production: are its replicas at equilibrium, its dynamics sound?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import linregress

from dynmatch.errors import DynmatchError
from dynmatch.observables.msd import diffusion, msd_samples
from dynmatch.sites.projection import apply_mapping, centre_of_mass_mapping
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.statistics import block_means, mean_and_error
from dynmatch.systems.all_atom.base import AllAtomSystem
from dynmatch.systems.all_atom.checks import SIGMAS, require_temperature
from dynmatch.systems.all_atom.particles import degrees_of_freedom, masses
from dynmatch.systems.all_atom.segments import Segment
from dynmatch.systems.all_atom.simulation import ReferenceSettings
from dynmatch.units import AMU_PER_NM3, BOLTZMANN

DISAGREEMENT = 6
"""Standard errors between the mean potential energies of two replicas that are a failure."""
DRIFT = 0.2
"""Drift of the conserved energy, in kB T per ns and degree of freedom, that is a failure."""
DIFFUSION = (1e-5, 0.1)
"""Range of D, nm^2/ps, outside of which a box is no liquid (water at 300 K: 2e-3 to 6e-3)."""
DIFFUSION_FRAMES = 1000
"""Frames of a replica from which D is computed."""


def assess(
    replicas: Iterable[Iterable[Segment]], box: AllAtomSystem, settings: ReferenceSettings
) -> pd.DataFrame:
    """Columns quantity, value, error, unit: density, temperature, potential energy, drift and D.

    Of all replicas together; and the largest difference of their mean potential energies. Errors
    are standard errors from ten blocks in time of each replica, or the spread of the molecules for
    D. Raises DynmatchError when the replicas are too short for D.
    """
    mass = masses(box.system)
    groups = [np.array([a.index for a in residue.atoms()]) for residue in box.topology.residues()]
    count = len(groups)
    freedom = degrees_of_freedom(box.system)
    parts = [_series(replica, mass, groups, freedom, settings) for replica in replicas]
    sites = SiteTrajectory(
        positions=np.concatenate([part.centres for part in parts]),
        time=np.concatenate([part.centre_time for part in parts]),
        masses=np.array([mass[group].sum() for group in groups]),
        topology=independent_sites(["W"] * count, "CG"),
    )
    length = min(len(part.centres) for part in parts) * sites.frame_spacing
    coefficient = diffusion(*msd_samples(sites, length / 10), length).iloc[0]
    potential = [block_means(part.potential) / count for part in parts]
    rows = [
        ("density", mass.sum() * AMU_PER_NM3 / box.edge**3, 0.0, "g/cm^3"),
        (
            "temperature",
            *mean_and_error(np.concatenate([block_means(part.temperature) for part in parts])),
            "K",
        ),
        (
            "potential_energy_per_molecule",
            *mean_and_error(np.concatenate(potential)),
            "kJ/mol",
        ),
        (
            "potential_energy_difference_of_replicas",
            *_largest_difference(potential),
            "kJ/mol",
        ),
        (
            "energy_drift_per_degree_of_freedom",
            *(1000 * _drift(parts) / freedom),
            "kJ/mol/ns",
        ),
        (
            "diffusion",
            coefficient["d_nm2_per_ps"],
            coefficient["error_nm2_per_ps"],
            "nm^2/ps",
        ),
    ]
    return pd.DataFrame(rows, columns=["quantity", "value", "error", "unit"])


@dataclass(frozen=True)
class _Series:
    """What is kept of a replica: F frames, E energies, C frames of molecules' centres of mass.

    temperature (F,) K; energy_time (E,) ps; potential, conserved (E,) kJ/mol; centre_time (C,) ps;
    centres (C, N, 3) nm
    """

    temperature: np.ndarray
    energy_time: np.ndarray
    potential: np.ndarray
    conserved: np.ndarray
    centre_time: np.ndarray
    centres: np.ndarray


def _series(
    segments: Iterable[Segment],
    mass: np.ndarray,
    groups: list[np.ndarray],
    freedom: int,
    settings: ReferenceSettings,
) -> _Series:
    matrix = centre_of_mass_mapping(groups, mass)
    stride = max(settings.frames // DIFFUSION_FRAMES, 1)
    temperature, energy_time, potential, conserved, centres = [], [], [], [], []
    first = 0
    for segment in segments:
        twice_kinetic = np.sum(segment.velocities**2, axis=-1) @ mass
        temperature.append(twice_kinetic / (freedom * BOLTZMANN))
        energy_time.append((first + segment.energy_frames) * settings.frame_spacing)
        potential.append(segment.potential)
        conserved.append(segment.conserved)
        centres.append(apply_mapping(matrix, segment.positions[-first % stride :: stride]))
        first += len(segment.positions)
    positions = np.concatenate(centres)
    return _Series(
        temperature=np.concatenate(temperature),
        energy_time=np.concatenate(energy_time),
        potential=np.concatenate(potential),
        conserved=np.concatenate(conserved),
        centre_time=np.arange(len(positions)) * stride * settings.frame_spacing,
        centres=positions,
    )


def require_sound(table: pd.DataFrame, settings: ReferenceSettings) -> None:
    """Raise DynmatchError, naming a key of the config, when `assess` shows a plain failure."""
    value = table.set_index("quantity")["value"]
    error = table.set_index("quantity")["error"].fillna(0.0)
    where = settings.where
    require_temperature(value["temperature"], error["temperature"], settings)
    apart, apart_error = (
        series["potential_energy_difference_of_replicas"] for series in (value, error)
    )
    if apart > DISAGREEMENT * apart_error:
        raise DynmatchError(
            "all-atom reference: its replicas are not at equilibrium: their mean potential "
            f"energies differ by {apart:.2g} +- {apart_error:.2g} kJ/mol and molecule; make "
            f"{where}.equilibration longer"
        )
    drift, drift_error = (
        abs(series["energy_drift_per_degree_of_freedom"]) / (BOLTZMANN * settings.temperature)
        for series in (value, error)
    )
    if drift > max(DRIFT, SIGMAS * drift_error):
        raise DynmatchError(
            f"all-atom reference: its energy drifts by {drift:.2g} kB T per ns and degree of "
            f"freedom, more than {DRIFT}; make {where}.time_step, now {settings.time_step:g} ps, "
            "shorter"
        )
    d = value["diffusion"]
    if not DIFFUSION[0] <= d <= DIFFUSION[1]:
        state = "is frozen" if d < DIFFUSION[0] else "flies apart"
        raise DynmatchError(
            f"all-atom reference: D is {d:.2g} nm^2/ps, so the box {state}; check {where}.density, "
            f"the temperature, and {where}.time_step"
        )


def _largest_difference(samples: Sequence[np.ndarray]) -> tuple[float, float]:
    """Highest less lowest mean of several sets of samples (S,), and its standard error."""
    means, errors = np.transpose([mean_and_error(one) for one in samples])
    extremes = [np.argmax(means), np.argmin(means)]
    return np.ptp(means), np.linalg.norm(errors[extremes])


def _drift(parts: Sequence[_Series]) -> np.ndarray:
    """Mean slope of energy with time, kJ/mol/ps, and its standard error, from means over blocks."""
    fits = [linregress(block_means(one.energy_time), block_means(one.conserved)) for one in parts]
    error = np.linalg.norm([fit.stderr for fit in fits]) / len(fits)
    return np.array([np.mean([fit.slope for fit in fits]), error])
