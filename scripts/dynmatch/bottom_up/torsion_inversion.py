"""Where the training of a molecule's potential starts: at the distributions of its coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random
from scipy.stats import qmc

from dynmatch.bottom_up.bonded_inversion import fourier, harmonic, length
from dynmatch.potentials.sum import Potential
from dynmatch.potentials.torsional import Energy, Form, turns
from dynmatch.settings import MoleculePotentialSettings
from dynmatch.sites.internal_coordinates import coordinate, coordinates_of
from dynmatch.sites.trajectory import SiteTrajectory

FIT_STEPS = 4000
FIT_RATE = 1e-2
FIT_FRAMES = 4096
"""Frames of the reference in a step of the fit."""
QUADRATURE = 4096
"""Points at which a step integrates over all torsions, a power of 2."""


def start(
    trajectory: SiteTrajectory, kT: float, settings: MoleculePotentialSettings
) -> tuple[Potential, dict]:
    """Potential and parameters with which the torsions of `trajectory` are distributed as in it.

    A length narrower than `bond_width` is given this standard deviation, and so is what an angle
    moves the end of its bond by, so that a time step of some fs can follow it.

    Raises DynmatchError where the sites are not one molecule, a tree of bonds.
    """
    width, key = settings.bond_width, random.PRNGKey(0)
    chain = coordinates_of(trajectory)

    def values(sites):
        """The coordinate in every frame, one array (F,) for each of `sites`."""
        if not sites:
            return []
        return list(coordinate(trajectory.positions, np.array(sites), trajectory.box).T)

    lengths = values(chain.lengths)
    turn = width / np.mean(lengths)
    angles = []
    for cosine in values(chain.angles):
        sine = np.sqrt(1 - np.mean(cosine) ** 2)
        angles.append(harmonic(cosine, kT, turn * sine))
    impropers = []
    for phi in values(chain.impropers):
        centre = float(np.angle(np.mean(np.exp(1j * phi))))
        deviation = np.angle(np.exp(1j * (phi - centre)))
        impropers.append((centre, harmonic(deviation, kT, turn)[1]))
    torsions = values(chain.torsions)
    form = Form(
        thermal_energy=kT,
        hidden=settings.hidden,
        names=trajectory.topology.names,
        coordinates=chain,
        lengths=tuple(length(r, kT, width) for r in lengths),
        angles=tuple(angles),
        impropers=tuple(impropers),
        torsions=tuple(fourier(phi, kT) for phi in torsions),
    )
    network = Energy(form.hidden).init(key, jnp.zeros(form.features))
    if torsions:
        network = fit_torsions(form, network, np.stack(torsions, -1), key)
    potential = Potential((form,), trajectory.topology.type_names, kT)
    return potential, {"network": network}


def fit_torsions(form: Form, network: dict, torsions: np.ndarray, key: Array) -> dict:
    """Parameters of E for which the torsions are distributed as `torsions` (F, K), radian.

    The relative entropy of their joint density, mean(U)/kT + ln <exp(-U/kT)> with the mean over the
    reference and < > over all torsions, is minimised by Adam. The other coordinates, on which E
    does not depend yet, are at their means: the rows of the first kernel that belong to them are 0.
    """
    count = torsions.shape[1]
    kernel = network["params"]["Dense_0"]["kernel"]
    network["params"]["Dense_0"]["kernel"] = kernel.at[2 * count :].set(0.0)
    data = jnp.asarray(torsions, jnp.float32)
    grid = 2 * np.pi * qmc.Sobol(count, scramble=False).random(QUADRATURE)
    grid = jnp.asarray(grid, jnp.float32)
    rate = optax.cosine_decay_schedule(FIT_RATE, FIT_STEPS)
    adam = optax.adam(rate)

    def energy(network, phi):
        others = jnp.zeros((len(phi), form.features - 2 * count))
        features = jnp.concatenate([turns(phi), others], -1)
        of_bonds = form.torsion_energy(phi) / form.thermal_energy
        return Energy(form.hidden).apply(network, features) + of_bonds

    def loss(network, phi, shift):
        everywhere = jax.nn.logsumexp(-energy(network, grid + shift))
        return jnp.mean(energy(network, phi)) + everywhere - jnp.log(QUADRATURE)

    def step(carry, key):
        network, moments = carry
        drawn, shifted = random.split(key)
        phi = data[random.randint(drawn, (FIT_FRAMES,), 0, len(data))]
        shift = random.uniform(shifted, (count,), maxval=2 * jnp.pi)
        gradient = jax.grad(loss)(network, phi, shift)
        steps, moments = adam.update(gradient, moments)
        return (optax.apply_updates(network, steps), moments), None

    fit = jax.jit(lambda network, keys: lax.scan(step, (network, adam.init(network)), keys)[0][0])
    return fit(network, random.split(key, FIT_STEPS))
