"""All observables of one trajectory, as the tables that go to file."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from dynmatch.observables.adf import adf_samples, adf_table
from dynmatch.observables.by_type import bonded, rdf_by_type, rdf_of_types
from dynmatch.observables.frames import thinned
from dynmatch.observables.free_energy import free_energy_q, free_energy_r_theta, pmf
from dynmatch.observables.msd import diffusion, msd_samples, msd_table
from dynmatch.observables.rdf import rdf_samples, rdf_table
from dynmatch.observables.scattering import scattering
from dynmatch.observables.survival import survival
from dynmatch.observables.tetrahedral import tetrahedral
from dynmatch.observables.vacf import vacf_samples, vacf_table
from dynmatch.observables.van_hove import van_hove
from dynmatch.sites.trajectory import SiteTrajectory


def observe(
    trajectory: SiteTrajectory,
    temperature: float,
    settings: Mapping,
    msd_lags: Sequence[float] = (),
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Every observable of `trajectory`: the tables by name, and the samples behind four of them.

    temperature in K; settings as the config's `observables`; msd_lags (ps) are lags the MSD must
    contain. The samples of rdf, adf, msd and vacf, arrays `name` (R*B, bins) by time blocks on the
    grid `name_grid` (bins,), `msd_by_site` (R*N, bins), and `rdf A-B` for each pair of types where
    there are several, serve to propagate errors through quantities that join many bins.

    Raises DynmatchError when the trajectory has no box, or does not fit the settings.
    """
    spacing, shell = settings["structure_spacing"], settings["shell_cutoff"]
    longest = settings["msd_length"]
    structure = thinned(trajectory, spacing)
    length = min(replica.n_frames for replica in trajectory.replicas()) * trajectory.frame_spacing

    rdfs = rdf_of_types(structure, settings["rdf_bin"])
    # of one type without bonds, that is the RDF
    rdf = next(iter(rdfs.values()))
    if len(rdfs) > 1:
        pairs = np.concatenate(list(structure.topology.nonbonded_pairs.values()))
        rdf = rdf_samples(structure, settings["rdf_bin"], pairs)
    adf = adf_samples(structure, shell)
    msd = msd_samples(trajectory, longest, msd_lags)
    vacf = vacf_samples(trajectory, settings["vacf_length"])
    tables = {
        "rdf": rdf_table(*rdf),
        "rdf_by_type": rdf_by_type(rdfs),
        "bonded": bonded(structure),
        "adf": adf_table(*adf),
        "tetrahedral": tetrahedral(structure),
        "msd": msd_table(*msd),
        "diffusion": diffusion(*msd, length),
        "vacf": vacf_table(*vacf),
        "van_hove": van_hove(trajectory, settings["van_hove_lags"], spacing),
        "scattering": scattering(trajectory, settings["scattering_k"], longest, spacing),
        "survival": survival(trajectory, shell, spacing),
        "free_energy_r_theta": free_energy_r_theta(structure, shell, temperature),
    }
    tables["pmf"] = pmf(tables["rdf"], temperature)
    tables["free_energy_q"] = free_energy_q(tables["tetrahedral"], temperature)

    samples = {"msd_by_site": msd[2]}
    for name, (grid, values) in {"rdf": rdf, "adf": adf, "msd": msd[:2], "vacf": vacf}.items():
        samples |= {f"{name}_grid": grid, name: values}
    if len(rdfs) > 1:
        samples |= {f"rdf {name}": values for name, (_, values) in rdfs.items()}
    return tables, samples
