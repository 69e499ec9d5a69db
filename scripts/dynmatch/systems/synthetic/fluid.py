r"""A reference whose truth is known: a fluid of sites moved by this library's own engines.

Its potential is not of the learned form (`potential`). A Morse pair term is tapered to zero, and
the three-body term is that of Stillinger and Weber (Phys. Rev. B 31, 5262 (1985),
doi:10.1103/PhysRevB.31.5262, eq. 2.5),

    U3 = lambda sum_i sum_{j<k} g(r_ij) g(r_ik) (cos theta_jik - cos theta_0)^2,
    g(r) = exp(w/(r - a)) inside the range a, and 0 beyond,

which favours the tetrahedral angle. The double sum over neighbours factorises into the moments of g
over one neighbour: with M_l = sum_j g(r_ij) u_ij^(l), u the unit vector and u^(l) its l-fold tensor
product,

    sum_{j,k} g g (cos - c)^2 = M_2:M_2 - 2c M_1.M_1 + c^2 M_0^2,

from which the terms j = k, sum_j g^2 (1 - c)^2, are taken away.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from tqdm import tqdm

from dynmatch.dynamics.registry import card_of, equation_of
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import BOLTZMANN

DEPTH, DISTANCE, STEEPNESS = 6.0, 0.29, 16.0
"""Morse term: depth (kJ/mol) and place (nm) of its minimum, and its decay constant (1/nm)."""
TAPER = 0.15
"""Width of the range below the cutoff over which the Morse term is tapered, nm."""
STRENGTH, RANGE, WIDTH, COSINE = 60.0, 0.42, 0.2, -1.0 / 3.0
"""Three-body term: lambda (kJ/mol), a (nm), w (nm) and cos theta_0."""


@dataclass(frozen=True)
class KnownReference:
    """How the fluid is simulated; nm, ps, amu, K.

    `cutoff` is that of the Morse term, `density` a number density, `dynamics` a name of
    `dynamics.registry` (a Brownian site has no mass in its motion). `equilibration` and `length`
    are those of each replica. `exponentials` (strength 1/ps^2, time ps) and `cosines` (strength
    1/ps^2, rate 1/ps, frequency rad/ps) are the memory of a dynamics that has one.
    """

    temperature: float
    sites: int
    density: float
    cutoff: float
    dynamics: str
    gamma: float
    mass: float
    time_step: float
    replicas: int
    equilibration: float
    length: float
    frame_spacing: float
    seed: int
    exponentials: tuple[tuple[float, float], ...] = ()
    cosines: tuple[tuple[float, float, float], ...] = ()

    @property
    def truth(self) -> dict[str, np.ndarray | float]:
        """True values of the dynamics, as its equation calls them."""
        slow = np.reshape(self.exponentials, (1, -1, 2))
        swinging = np.reshape(self.cosines, (1, -1, 3))
        given = {
            "gamma": np.array([self.gamma]),
            "alpha": 1.0,
            "mass": np.array([self.mass]),
            "strength": slow[..., 0],
            "time": slow[..., 1],
            "cosine": swinging[..., 0],
            "rate": swinging[..., 1],
            "frequency": swinging[..., 2],
        }
        return {name: given[name] for name in equation_of(self.dynamics).parameters}


def energy(positions: Array, box: Array, cutoff: float) -> Array:
    """The known potential, kJ/mol, of positions (N, 3) in a periodic box (3,), nm."""
    d = [x[None, :] - x[:, None] for x in positions.T]
    d = [x - edge * jnp.round(x / edge) for x, edge in zip(d, box, strict=True)]
    oneself = jnp.eye(positions.shape[0], dtype=bool)
    r = jnp.sqrt(jnp.where(oneself, 1e4, d[0] ** 2 + d[1] ** 2 + d[2] ** 2))
    morse = DEPTH * ((1 - jnp.exp(-STEEPNESS * (r - DISTANCE))) ** 2 - 1)
    pairs = 0.5 * jnp.sum(_taper(r, cutoff) * morse)

    near = r < RANGE
    g = jnp.where(near, jnp.exp(WIDTH / (jnp.where(near, r, 0.0) - RANGE)), 0.0)
    u = [x / r for x in d]
    m0 = jnp.sum(g, 1)
    m1 = [jnp.sum(g * x, 1) for x in u]
    m2 = {(a, b): jnp.sum(g * u[a] * u[b], 1) for a in range(3) for b in range(a, 3)}
    twice = sum((1 if a == b else 2) * m**2 for (a, b), m in m2.items())
    twice += COSINE**2 * m0**2 - 2 * COSINE * sum(m**2 for m in m1)
    twice -= (1 - COSINE) ** 2 * jnp.sum(g**2, 1)
    return pairs + 0.5 * STRENGTH * jnp.sum(twice)


def _taper(r: Array, cutoff: float) -> Array:
    """From 1 to 0 over `TAPER` below `cutoff`, with a continuous slope: HOOMD-blue's xplor
    function, which JAX-MD has as well, beside sympy and equivariant networks."""
    inner, outer, square = (cutoff - TAPER) ** 2, cutoff**2, r**2
    falling = (outer - square) ** 2 * (outer + 2 * square - 3 * inner) / (outer - inner) ** 3
    return jnp.where(r < cutoff - TAPER, 1.0, jnp.where(r < cutoff, falling, 0.0))


def simulate(settings: KnownReference) -> SiteTrajectory:
    """Independent replicas of the fluid, with forces, and velocities where there are any."""
    edge = (settings.sites / settings.density) ** (1 / 3)
    box, kT = jnp.full(3, edge, jnp.float32), BOLTZMANN * settings.temperature
    equation = equation_of(settings.dynamics).of_values(settings.time_step, settings.truth)
    truth = {name: jnp.asarray(value, jnp.float32) for name, value in settings.truth.items()}
    coefficients = equation.prepare(truth, kT, np.zeros(settings.sites, int))
    steps = round(settings.frame_spacing / settings.time_step)

    def force(x):
        return -jax.grad(energy)(x, box, settings.cutoff)

    @jax.jit
    def start(keys):
        lattice = jnp.asarray(_lattice(settings.sites, edge), jnp.float32)
        return lax.map(lambda key: equation.init(coefficients, force, key, lattice), keys)

    @jax.jit
    def next_frame(states):
        """The states one frame later, and their velocities where there are any."""

        def step(_, state):
            return equation.step(coefficients, force, state)

        def one(state):
            state = lax.fori_loop(0, steps, step, state)
            return state, equation.velocity(coefficients, state)

        return lax.map(one, states)

    states = start(random.split(random.key(settings.seed), settings.replicas))
    skipped = round(settings.equilibration / settings.frame_spacing)
    frames = round(settings.length / settings.frame_spacing)
    shape = (settings.replicas, frames, settings.sites, 3)
    positions, forces = np.empty(shape, np.float32), np.empty(shape, np.float32)
    velocities = np.empty(shape, np.float32) if card_of(settings.dynamics).velocities else None
    for number in tqdm(range(-skipped, frames), desc="known reference", unit="frame"):
        states, v = next_frame(states)
        if number >= 0:
            positions[:, number], forces[:, number] = states.position, states.force
            if velocities is not None:
                velocities[:, number] = v

    def joined(array):
        return None if array is None else array.reshape(-1, settings.sites, 3)

    return SiteTrajectory(
        positions=joined(positions),
        time=np.tile(np.arange(frames) * settings.frame_spacing, settings.replicas),
        masses=np.full(settings.sites, settings.mass),
        topology=independent_sites(["S"] * settings.sites, "SIT"),
        box=np.full(3, edge),
        velocities=joined(velocities),
        forces=joined(forces),
    )


def _lattice(sites: int, edge: float) -> np.ndarray:
    """Sites (N, 3), nm, on nodes of a cubic lattice; the nodes left empty are spread evenly."""
    per_edge = int(np.ceil(np.cbrt(sites) - 1e-9))
    nodes = np.linspace(0, per_edge**3 - 1, sites).round().astype(int)
    return np.stack(np.unravel_index(nodes, (per_edge,) * 3), 1) * (edge / per_edge)
