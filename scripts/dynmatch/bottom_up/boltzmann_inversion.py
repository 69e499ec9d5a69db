"""The potential that a training starts from: -kB T ln g(r), and bonded terms fitted to the data."""

import jax.numpy as jnp
import numpy as np
from jax import random

from dynmatch.bottom_up import torsion_inversion as internal_start
from dynmatch.errors import DynmatchError
from dynmatch.potentials import bonded, molecular, potential
from dynmatch.potentials.molecular import MolecularForm
from dynmatch.potentials.potential import PotentialForm
from dynmatch.potentials.torsional import InternalForm
from dynmatch.sites.topology import nonbonded_pairs, types_of
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import potential_of_mean_force

LEVEL = 0.9
"""Of the largest distance below the cutoff: beyond it w(r) is taken for zero on average."""


def start_potential(
    trajectory: SiteTrajectory, kT: float, settings: dict
) -> tuple[PotentialForm | MolecularForm | InternalForm, dict]:
    """Form and start parameters: u(r) = -kB T ln g(r), continued by the core, and E near zero.

    Where the topology has several types of sites or bonds, this holds for each pair of types, of
    sites more than three bonds apart; and the bonded terms are fitted. One molecule by itself,
    whose settings have no cutoff, starts as `internal_start.start` says. `settings` is the
    section `potential` of a system's config.
    """
    if "cutoff" not in settings:
        width, hidden = settings["bond_width"], settings["hidden"]
        return internal_start.start(trajectory, kT, width, hidden, random.PRNGKey(0))
    names, _ = types_of(trajectory.topology)
    if len(names) > 1 or trajectory.topology.n_bonds:
        return _molecular_start(trajectory, kT, settings)
    form, coefficients = _pair_term(trajectory, kT, settings, (names[0], names[0]))
    parameters = potential.initialise(form, random.PRNGKey(0))
    parameters["pair"]["params"]["coefficients"] = jnp.asarray(coefficients, jnp.float32)
    return form, parameters


def _pair_term(
    trajectory: SiteTrajectory,
    kT: float,
    settings: dict,
    names: tuple[str, str],
    pairs: np.ndarray | None = None,
) -> tuple[PotentialForm, np.ndarray]:
    """`pair_start` of the `pairs` (P, 2) of sites of the two `names`, or of all pairs."""
    r, w = potential_of_mean_force(trajectory, kT, spacing=1.0, pairs=pairs)
    if len(r) == 0 or r[0] >= settings["cutoff"]:
        raise DynmatchError(
            f"potential.cutoff: sites {names[0]} and {names[1]} are never closer than "
            f"{settings['cutoff']:g} nm in the reference, so that nothing can be learned about "
            "them; make it longer, or give rare types the name of others"
        )
    return pair_start(r, w, kT, settings)


def pair_start(
    r: np.ndarray, w: np.ndarray, kT: float, settings: dict
) -> tuple[PotentialForm, np.ndarray]:
    """Form and coefficients of the pair term that is nearest to w(r) (kJ/mol, nm).

    w is taken from its mean near the cutoff, where the pair term ends: that level is set by the
    volume in which g was normalised, most of which is empty about a droplet.
    """
    inside = r < settings["cutoff"]
    w = w - np.mean(w[inside & (r > LEVEL * r[inside][-1])])
    core = float(r[0] * (max(w[0], kT) / kT) ** (1 / 12))
    form = potential.PotentialForm(
        cutoff=settings["cutoff"],
        three_body_cutoff=settings["three_body_cutoff"],
        core=core,
        thermal_energy=kT,
        pair_basis=settings["pair_basis"],
        radial_channels=settings["radial_channels"],
        degree=settings["degree"],
        hidden=tuple(settings["hidden"]),
    )
    below = np.arange(0.5 * core, r[0], 0.005)
    wall = w[0] + kT * (potential.core_energy(form, below) - potential.core_energy(form, r[:1]))
    coefficients = potential.fit_pair(
        form, np.concatenate([below, r[inside]]), np.concatenate([wall, w[inside]])
    )
    return form, coefficients


def _molecular_start(
    trajectory: SiteTrajectory, kT: float, settings: dict
) -> tuple[MolecularForm, dict]:
    names, types = types_of(trajectory.topology)
    cores, coefficients = [], []
    for pair, sites in nonbonded_pairs(trajectory.topology).items():
        if not len(sites):
            # of a single site, or of sites of one molecule within three bonds: nothing interacts
            cores.append(np.inf)
            coefficients.append(np.zeros(settings["pair_basis"]))
            continue
        form, values = _pair_term(trajectory, kT, settings, pair, sites)
        cores.append(form.core)
        coefficients.append(values)
    if np.isinf(cores).all():
        raise DynmatchError(
            "reference: no two sites are more than three bonds apart, so that nothing but bonded "
            "terms would be learned; take more molecules, or `kind: molecule` for one by itself"
        )
    cores = np.where(np.isinf(cores), min(cores), cores).tolist()
    form = MolecularForm(
        cutoff=settings["cutoff"],
        three_body_cutoff=settings["three_body_cutoff"],
        thermal_energy=kT,
        pair_basis=settings["pair_basis"],
        radial_channels=settings["radial_channels"],
        degree=settings["degree"],
        hidden=tuple(settings["hidden"]),
        names=tuple(names),
        types=tuple(types.tolist()),
        cores=tuple(cores),
        bonded=bonded.fit(trajectory, kT, settings["bond_width"]),
    )
    parameters = molecular.initialise(form, random.PRNGKey(0))
    parameters["pair"]["params"]["coefficients"] = jnp.asarray(coefficients, jnp.float32)
    return form, parameters
