"""The potential that a training starts from: -kB T ln g(r), and bonded terms fitted to the data."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

from dynmatch.bottom_up import bonded_inversion
from dynmatch.errors import DynmatchError
from dynmatch.observables.rdf import rdf
from dynmatch.potentials import pair, three_body
from dynmatch.potentials.pair import Curve
from dynmatch.potentials.sum import Potential
from dynmatch.settings import PotentialSettings
from dynmatch.sites.trajectory import SiteTrajectory

LEVEL = 0.9
"""Of the largest distance below the cutoff: beyond it w(r) is taken for zero on average."""
ENOUGH = 200_000
"""Sites, over all frames, from which g is taken."""
SPACING = 1.0
"""Between the frames that g(r) is taken of, ps."""
SEEN = 0.01
"""g(r) above which there are data."""


def start(
    trajectory: SiteTrajectory, kT: float, settings: PotentialSettings
) -> tuple[Potential, dict]:
    """Potential and start parameters: u(r) = -kB T ln g(r), continued by the core, and E near zero.

    This holds for each pair of types, of sites more than three bonds apart; where there are bonds,
    bonded terms are fitted.

    Raises DynmatchError where sites never come within the cutoff, or none are more than three bonds
    apart.
    """
    topology = trajectory.topology
    names = topology.type_names
    curves, coefficients = [], []
    for types, sites in topology.nonbonded_pairs.items():
        if not len(sites):
            # of a single site, or of sites of one molecule within three bonds: nothing interacts
            curves.append(None)
            coefficients.append(np.zeros(settings.pair_basis))
            continue
        everybody = len(names) == 1 and not topology.bonds
        curve, values = _curve(trajectory, kT, settings, types, None if everybody else sites)
        curves.append(curve)
        coefficients.append(values)
    if not any(curves):
        raise DynmatchError(
            "reference: no two sites are more than three bonds apart, so that nothing but bonded "
            "terms would be learned; take more molecules, or `kind: molecule` for one by itself"
        )
    least = min(curve.core for curve in curves if curve)
    cores = tuple(curve.core if curve else least for curve in curves)
    terms = [
        pair.Form(names, settings.cutoff, kT, settings.pair_basis, cores),
        three_body.Form(
            names,
            settings.three_body_cutoff,
            kT,
            settings.radial_channels,
            settings.degree,
            settings.hidden,
        ),
    ]
    found = {"pair": np.array(coefficients)}
    if topology.bonds:
        form, of_bonds = bonded_inversion.fit(trajectory, kT, settings.bond_width)
        terms.append(form)
        found |= of_bonds
    potential = Potential(tuple(terms), names, kT)
    parameters = potential.initialise(random.PRNGKey(0))
    return potential, parameters | {
        name: jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), values)
        for name, values in found.items()
    }


def _curve(
    trajectory: SiteTrajectory,
    kT: float,
    settings: PotentialSettings,
    types: tuple[str, str],
    pairs: np.ndarray | None,
) -> tuple[Curve, np.ndarray]:
    """`nearest_curve` of the `pairs` (P, 2) of sites of the two `types`, or of all pairs."""
    r, w = potential_of_mean_force(trajectory, kT, pairs=pairs)
    if len(r) == 0 or r[0] >= settings.cutoff:
        raise DynmatchError(
            f"potential.cutoff: sites {types[0]} and {types[1]} are never closer than "
            f"{settings.cutoff:g} nm in the reference, so that nothing can be learned about "
            "them; make it longer, or give rare types the name of others"
        )
    return nearest_curve(r, w, kT, settings)


def nearest_curve(
    r: np.ndarray, w: np.ndarray, kT: float, settings: PotentialSettings
) -> tuple[Curve, np.ndarray]:
    """Curve and coefficients of the pair term that is nearest to w(r) (kJ/mol, nm).

    w is taken from its mean near the cutoff, where the pair term ends: that level is set by the
    volume in which g was normalised, most of which is empty about a droplet.
    """
    inside = r < settings.cutoff
    w = w - np.mean(w[inside & (r > LEVEL * r[inside][-1])])
    core = float(r[0] * (max(w[0], kT) / kT) ** (1 / 12))
    curve = Curve(settings.cutoff, core, kT, settings.pair_basis)
    below = np.arange(0.5 * core, r[0], 0.005)
    wall = w[0] + kT * (curve.core_energy(below) - curve.core_energy(r[:1]))
    coefficients = curve.nearest(
        np.concatenate([below, r[inside]]), np.concatenate([wall, w[inside]])
    )
    return curve, coefficients


def potential_of_mean_force(
    trajectory: SiteTrajectory,
    kT: float,
    bin_width: float = 0.005,
    pairs: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """-kB T ln g(r) where g > `SEEN`: distances (nm) and energies (kJ/mol).

    `pairs` (P, 2) are the sites that g is taken of; all of them where it is None. Of many sites a
    few frames tell it as well as many frames of a few, and there are as many pairs as their square.
    """
    stride = max(1, round(SPACING / trajectory.frame_spacing))
    stride *= max(1, trajectory.n_frames * trajectory.n_sites // (stride * ENOUGH))
    table = rdf(trajectory.frames(slice(None, None, stride)), bin_width, pairs)
    table = table[table.rdf > SEEN]
    return table.r_nm.to_numpy(), -kT * np.log(table.rdf.to_numpy())
