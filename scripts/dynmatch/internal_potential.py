r"""The potential of one molecule in its internal coordinates: bonded terms and a network.

    U(R) = sum_lengths k/2 (r - r0)^2 + sum_angles k/2 (cos theta - c0)^2
         + sum_impropers k (1 - cos(phi - phi0))
         + sum_torsions sum_n [a_n cos n phi + b_n sin n phi] + kB T E(q)

q are the coordinates of `zmatrix`, as cosine and sine of each torsion and deviations of the others
in units of their spread, and E is a network. U is invariant under translation and rotation, and
periodic in the torsions, and tells a molecule from its mirror image.

The bonded terms are fixed before training, each the Boltzmann inverse of its own coordinate in the
reference. As the volume element does not couple the coordinates, bonded terms alone have exactly
the distributions that they were fitted to; and with E fitted to the torsions (`fit_torsions`) their
joint distribution is that of the reference. This is where a training starts.

The functions are those of `potential`, for an `InternalForm`; there is nothing to tabulate.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax, random
from scipy.stats import qmc

from dynmatch import bonded, potential
from dynmatch.internal import bonds_of, coordinate, types_of
from dynmatch.potential import ALL_PAIRS
from dynmatch.trajectory import SiteTrajectory
from dynmatch.zmatrix import ZMatrix, zmatrix

FIT_STEPS = 4000
FIT_RATE = 1e-2
FIT_FRAMES = 4096
"""Frames of the reference in a step of the fit."""
QUADRATURE = 4096
"""Points at which a step integrates over all torsions, a power of 2."""

Harmonic = tuple[float, float]


@dataclass(frozen=True)
class InternalForm:
    """What is fixed before training.

    thermal_energy  kB T, kJ/mol: the scale of the network
    hidden          widths of the layers of the network
    linked, cutoff  there are no interactions but those of the coordinates
    names, types    (T,) of the types of sites, sorted, and (N,) of every site, an index into them
    coordinates     of the molecule
    lengths         (r0 nm, k kJ/mol/nm^2) of each
    angles          (c0, k kJ/mol)
    impropers       (phi0 radian, k kJ/mol)
    torsions        a_1 ... a_4, b_1 ... b_4, kJ/mol
    """

    linked: ClassVar[tuple] = ()
    cutoff: ClassVar[float] = 0.0

    thermal_energy: float
    hidden: tuple[int, ...]
    names: tuple[str, ...]
    types: tuple[int, ...]
    coordinates: ZMatrix
    lengths: tuple[Harmonic, ...]
    angles: tuple[Harmonic, ...]
    impropers: tuple[Harmonic, ...]
    torsions: tuple[tuple[float, ...], ...]

    @property
    def features(self) -> int:
        """Number of features of the network."""
        others = len(self.lengths) + len(self.angles) + len(self.impropers)
        return 2 * len(self.torsions) + others


class Energy(nn.Module):
    """E in units of kB T from features (..., F), without a constant."""

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, features: Array) -> Array:
        x = features
        for width in self.hidden:
            x = nn.tanh(nn.Dense(width)(x))
        return nn.Dense(1, use_bias=False, kernel_init=nn.initializers.normal(1e-2))(x)[..., 0]


def record_of(form: InternalForm) -> dict:
    """The form as plain lists and values, for YAML."""
    return _lists(asdict(form))


def form_of(record: dict) -> InternalForm:
    """The form that `record_of` has written."""
    values = {key: _tuples(value) for key, value in record.items() if key != "coordinates"}
    coordinates = {key: _tuples(value) for key, value in record["coordinates"].items()}
    return InternalForm(**values, coordinates=ZMatrix(**coordinates))


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(below) for key, below in value.items()}
    return [_lists(below) for below in value] if isinstance(value, tuple) else value


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def start(
    trajectory: SiteTrajectory, kT: float, width: float, hidden: Sequence[int], key: Array
) -> tuple[InternalForm, dict]:
    """Form and parameters with which the torsions of `trajectory` are distributed as in it.

    width   nm: a length narrower than that is given this standard deviation, so that a time step
            of some fs can follow it
    hidden  widths of the layers of the network

    Raises DynmatchError where the sites are not one molecule, a tree of bonds.
    """
    names, types = types_of(trajectory.topology)
    chain = zmatrix(bonds_of(trajectory.topology), trajectory.n_sites)

    def values(sites):
        """The coordinate in every frame, one array (F,) for each of `sites`."""
        if not sites:
            return []
        return list(coordinate(trajectory.positions, np.array(sites), trajectory.box).T)

    impropers = []
    for phi in values(chain.impropers):
        centre = float(np.angle(np.mean(np.exp(1j * phi))))
        deviation = np.angle(np.exp(1j * (phi - centre)))
        impropers.append((centre, _harmonic(deviation, kT)[1]))
    torsions = values(chain.torsions)
    form = InternalForm(
        thermal_energy=kT,
        hidden=tuple(hidden),
        names=tuple(names),
        types=tuple(types.tolist()),
        coordinates=chain,
        lengths=tuple(_bond(r, kT, width) for r in values(chain.lengths)),
        angles=tuple(_harmonic(c, kT) for c in values(chain.angles)),
        impropers=tuple(impropers),
        torsions=tuple(bonded.fourier(phi, kT) for phi in torsions),
    )
    network = Energy(form.hidden).init(key, jnp.zeros(form.features))
    if torsions:
        network = fit_torsions(form, network, np.stack(torsions, -1), key)
    return form, {"network": network}


def _harmonic(values: np.ndarray, kT: float, width: float = 0.0) -> Harmonic:
    return float(np.mean(values)), float(kT / max(np.std(values), width) ** 2)


def _bond(r: np.ndarray, kT: float, width: float) -> Harmonic:
    mean, k = _harmonic(r, kT, width)
    # the mean of r^2 exp(-(r - r0)^2/2 s^2) is r0 + 2 s^2/r0 to first order
    return mean - 2 * kT / k / mean, k


def fit_torsions(form: InternalForm, network: dict, torsions: np.ndarray, key: Array) -> dict:
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
        of_bonds = _torsion_energy(form, phi) / form.thermal_energy
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


@potential.tabulate.register
def tabulate(form: InternalForm, parameters: dict) -> dict:
    """The parameters themselves."""
    return parameters


@potential.energy.register
def energy(
    form: InternalForm, tables: dict, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Potential energy, kJ/mol, of positions (N, 3) in a periodic box (3,), nm."""
    lengths, angles, impropers, torsions = _coordinates(form, positions, box)
    deviations, harmonic = _deviations(form, lengths, angles, impropers)
    features = jnp.concatenate([turns(torsions), deviations])
    network = Energy(form.hidden).apply(tables["network"], features)
    return harmonic + _torsion_energy(form, torsions) + form.thermal_energy * network


@potential.force.register
def force(
    form: InternalForm, tables: dict, positions: Array, box: Array, neighbours=ALL_PAIRS
) -> Array:
    """Forces (N, 3), kJ/mol/nm: the negative gradient of `energy`."""
    return -jax.grad(lambda x: energy(form, tables, x, box))(positions)


def torsions(form: InternalForm, positions: Array, box: Array) -> Array:
    """(K,) radian."""
    return _coordinates(form, positions, box)[3]


def _coordinates(form: InternalForm, positions: Array, box: Array) -> list[Array]:
    """Lengths (nm), cosines of angles, impropers and torsions (radian)."""
    chain = form.coordinates
    groups = (chain.lengths, chain.angles, chain.impropers, chain.torsions)
    return [
        coordinate(positions, np.array(sites), box, jnp) if sites else jnp.zeros(0)
        for sites in groups
    ]


def _deviations(
    form: InternalForm, lengths: Array, angles: Array, impropers: Array
) -> tuple[Array, Array]:
    """Of impropers, angles and lengths, over their spread; and their energy, kJ/mol."""

    def columns(terms):
        return jnp.asarray(np.array(terms, np.float32).reshape(-1, 2).T)

    centre, k = columns(form.impropers)
    total = jnp.sum(k * (1.0 - jnp.cos(impropers - centre)))
    parts = [jnp.sqrt(k / form.thermal_energy) * jnp.sin(impropers - centre)]
    for values, terms in ((angles, form.angles), (lengths, form.lengths)):
        centre, k = columns(terms)
        total += 0.5 * jnp.sum(k * (values - centre) ** 2)
        parts.append(jnp.sqrt(k / form.thermal_energy) * (values - centre))
    return jnp.concatenate(parts), total


def _torsion_energy(form: InternalForm, phi: Array) -> Array:
    """Sum of the Fourier series of torsions (..., K), kJ/mol."""
    series = jnp.asarray(np.array(form.torsions, np.float32).reshape(-1, 2, bonded.FOURIER_ORDER))
    turns = phi[..., None] * np.arange(1, bonded.FOURIER_ORDER + 1, dtype=np.float32)
    terms = series[:, 0] * jnp.cos(turns) + series[:, 1] * jnp.sin(turns)
    return jnp.sum(terms, (-2, -1))


def turns(phi: Array) -> Array:
    """Cosines and sines (..., 2 K) of torsions (..., K)."""
    return jnp.concatenate([jnp.cos(phi), jnp.sin(phi)], -1)
