r"""Langevin dynamics with memory: a generalised Langevin equation per type of site,

    m d2R/dt2 = F - int_0^t K(t - t') dR/dt' dt' + eta(t),      <eta(0) eta(t)> = kB T K(t)

    K(t)/m = 2 (gamma/m) delta(t) + sum_e c_e exp(-t/tau_e) + sum_c c_c exp(-l_c t) cos(w_c t)

The kernel is carried by auxiliary variables s (M. Ceriotti, G. Bussi and M. Parrinello, J. Chem.
Theory Comput. 6, 1170 (2010), doi:10.1021/ct900563s): one for each exponential, two for each
cosine. With u = (p/sqrt(m), s), du = -A u dt + B dW,

    A = [[gamma/m, -theta^T], [theta, blocks]],  blocks 1/tau or [[l, w], [-w, l]],  theta^2 = c.

A + A^T is diagonal and not negative, and the noise B B^T = kB T (A + A^T) keeps u distributed as
kB T times the unit matrix: the fluctuation-dissipation relation, and with it the structure, hold
for any values.

Steps are BAOAB. O is split in two: the rotation by the antisymmetric part of A for half a step,
decay and noise by the diagonal part, and the rotation again; both are exact and leave that
distribution as it is, in single precision too. Without memory O is that of Langevin dynamics.

alpha and m are not learned: equipartition fixes m at the mass of the sites, and alpha would only
change the unit of time.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax.scipy.linalg import expm

from dynmatch.dynamics.base import Force, Parameter, Scale, Values, per_site
from dynmatch.dynamics.kernel import Kernel
from dynmatch.runtime.jax_md import dataclasses
from dynmatch.settings import MemorySettings

EXACT = lax.Precision.HIGHEST
"""Of products: with the ten bits that GPUs take by default, O would not keep the equilibrium."""
WHITE = 0.25
"""gamma/m of the start over the frequency of a site in the forces of the others."""
SLOWEST, SPREAD = 13.0, 8.0
"""Longest tau of the start times that frequency, and the ratio of successive ones."""
EXPONENTIAL, COSINE = 0.1, 0.25
"""Strengths c of the start over the square of that frequency."""
DECAY, FREQUENCY, APART = 0.5, 1.6, 1.5
"""l and w of the first cosine of the start over that frequency, and the ratio of successive w."""


@dataclasses.dataclass
class State:
    """position (N, 3) nm; momentum (N, 3) amu nm/ps; memory (K, N, 3), s in (kJ/mol)^(1/2); force
    (N, 3) kJ/mol/nm; rng key."""

    position: Array
    momentum: Array
    memory: Array
    force: Array
    rng: Array


class Coefficients(NamedTuple):
    """mass (N, 1) or of all, amu; kT, kJ/mol; and O: u -> turn u + noisy xi, (1 + K, 1 + K) for one
    type, (N, 1 + K, 1 + K) for several."""

    mass: Array
    kT: Array
    turn: Array
    noisy: Array


@dataclass(frozen=True)
class Equation:
    """See `dynamics.base.Equation`. gamma amu/ps; strengths 1/ps^2, times ps, rates 1/ps,
    frequencies rad/ps, each (T, K) over types and exponentials or cosines."""

    name: ClassVar[str] = "gle"
    parameters: ClassVar[dict[str, Parameter]] = {
        "gamma": Parameter("gamma", "white_friction_amu_per_ps", of_type=True),
        "strength": Parameter("strength", "exponential_strength_per_ps2", True, "time"),
        "time": Parameter("time", "exponential_time_ps", True, "time"),
        "cosine": Parameter("cosine", "cosine_strength_per_ps2", True, "cosine"),
        "rate": Parameter("rate", "cosine_rate_per_ps", True, "cosine"),
        "frequency": Parameter("frequency", "cosine_frequency_rad_per_ps", True, "cosine"),
        "alpha": Parameter("alpha", "alpha", of_type=False),
        "mass": Parameter("m", "mass_amu", of_type=True),
    }
    gauge: ClassVar[dict[str, dict[str, int]]] = {}
    carried: ClassVar[tuple[str, ...]] = (
        "gamma",
        "strength",
        "time",
        "cosine",
        "rate",
        "frequency",
    )
    moving: ClassVar[tuple[str, ...]] = ("position", "momentum", "memory")

    time_step: float
    exponentials: int
    cosines: int

    @classmethod
    def of(cls, settings: MemorySettings) -> "Equation":
        return cls(settings.time_step, settings.exponentials, settings.cosines)

    @classmethod
    def of_values(cls, time_step: float, values: Values) -> "Equation":
        return cls(time_step, values["strength"].shape[1], values["cosine"].shape[1])

    def initial(self, scale: Scale) -> dict:
        types, omega = len(scale.mass), scale.frequency[:, None]
        ladder = SPREAD ** -np.arange(self.exponentials, dtype=float)
        cosines = np.ones((types, self.cosines))
        return {
            "gamma": WHITE * scale.mass * scale.frequency,
            "strength": EXPONENTIAL * omega**2 * np.ones((types, self.exponentials)),
            "time": SLOWEST / omega * ladder,
            "cosine": COSINE * omega**2 * cosines,
            "rate": DECAY * omega * cosines,
            "frequency": FREQUENCY * omega * cosines * APART ** -np.arange(self.cosines),
            "alpha": 1.0,
            "mass": scale.mass,
        }

    def prepare(self, values: Values, kT: float, types: np.ndarray) -> Coefficients:
        dt = self.time_step
        half = expm(0.5 * dt * self._antisymmetric(values))
        decay = jnp.exp(-dt * self._diagonal(values))
        turn = jnp.matmul(half, decay[:, :, None] * half, precision=EXACT)
        noisy = half * jnp.sqrt(kT * (1 - decay**2))[:, None, :]
        mass = per_site(values["mass"], types)
        kT = jnp.asarray(kT, mass.dtype)
        if len(turn) == 1:
            return Coefficients(mass, kT, turn[0], noisy[0])
        own = jnp.asarray(types)
        return Coefficients(mass, kT, turn[own], noisy[own])

    def drift(self, values: Values) -> np.ndarray:
        """A (T, 1 + K, 1 + K), 1/ps, in double precision: of the momentum, the exponentials and
        both variables of each cosine, in this order."""
        double = {name: np.asarray(value, np.float64) for name, value in values.items()}
        diagonal = self._diagonal(double)[:, :, None] * np.eye(1 + self.auxiliary)
        return diagonal - self._antisymmetric(double)

    @property
    def least(self) -> dict[str, float]:
        """No memory is learned that is shorter than a time step: it would be white."""
        return {"time": self.time_step}

    @property
    def most(self) -> dict[str, float]:
        """No memory is learned that turns by more than a radian a step: displacements over some
        steps do not show it, and it would not come back."""
        return {"frequency": 1 / self.time_step}

    @property
    def auxiliary(self) -> int:
        """K, the number of auxiliary variables of a coordinate."""
        return self.exponentials + 2 * self.cosines

    def _antisymmetric(self, values: Values) -> Array:
        """Minus the antisymmetric part of A, (T, 1 + K, 1 + K); of NumPy's arrays or of JAX's."""
        arrays = values["gamma"].__array_namespace__()
        pairs = 1 + self.exponentials + 2 * np.arange(self.cosines)
        coupled = np.concatenate([np.arange(1, 1 + self.exponentials), pairs])
        coupling = arrays.concatenate([values["strength"], values["cosine"]], axis=1)
        couplings = self._rotations(np.zeros(len(coupled), int), coupled)
        rotations = self._rotations(pairs + 1, pairs)
        made = (arrays.sqrt(coupling)[:, :, None, None] * couplings).sum(1)
        return made + (values["frequency"][:, :, None, None] * rotations).sum(1)

    def _rotations(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(len(rows), 1 + K, 1 + K) with 1 at each row and column, and -1 across the diagonal."""
        made = np.zeros((len(rows), 1 + self.auxiliary, 1 + self.auxiliary), np.float32)
        made[np.arange(len(rows)), rows, columns] = 1
        return made - np.swapaxes(made, 1, 2)

    def _diagonal(self, values: Values) -> Array:
        """The diagonal of A, (T, 1 + K), 1/ps."""
        arrays = values["gamma"].__array_namespace__()
        white = (values["gamma"] / values["mass"])[:, None]
        rates = arrays.repeat(values["rate"], 2, axis=1)
        return arrays.concatenate([white, 1 / values["time"], rates], axis=1)

    def init(self, coefficients: Coefficients, force: Force, key: Array, x: Array) -> State:
        key, first, second = random.split(key, 3)
        spread = jnp.sqrt(coefficients.mass * coefficients.kT)
        size = coefficients.turn.shape[-1] - 1
        memory = jnp.sqrt(coefficients.kT) * random.normal(second, (size, *x.shape), x.dtype)
        return State(x, spread * random.normal(first, x.shape, x.dtype), memory, force(x), key)

    def step(self, coefficients: Coefficients, force: Force, state: State) -> State:
        dt, mass, root = self.time_step, coefficients.mass, jnp.sqrt(coefficients.mass)
        p = state.momentum + 0.5 * dt * state.force
        x = state.position + 0.5 * dt * p / mass
        key, split = random.split(state.rng)
        u = jnp.concatenate([(p / root)[None], state.memory])
        xi = random.normal(split, u.shape, u.dtype)
        u = _applied(coefficients.turn, u) + _applied(coefficients.noisy, xi)
        p = root * u[0]
        x = x + 0.5 * dt * p / mass
        f = force(x)
        return State(x, p + 0.5 * dt * f, u[1:], f, key)

    def start_tangents(self, state: State) -> dict:
        return {}

    def velocity(self, coefficients: Coefficients, state: State) -> Array:
        return (state.momentum - 0.5 * self.time_step * state.force) / coefficients.mass

    def free_motion(self, values: Values, kT: float, time: float) -> float:
        """That of free flight or of diffusion without memory, whichever is less."""
        mass = np.asarray(values["mass"], np.float64)
        flight = np.sqrt(kT / mass) * time
        diffusive = np.sqrt(2 * kT / np.asarray(values["gamma"], np.float64) * time)
        return float(np.max(np.minimum(flight, diffusive)))

    def identifiable(self, values: Values, kT: float) -> dict:
        """gamma/alpha is the friction of slow motion, the integral of K."""
        friction = self.friction(values)
        return {
            "d0_nm2_per_ps": kT / friction,
            "gamma_over_alpha": friction,
            "mass_over_alpha2": values["mass"] * 1.0,
            "memory_time_ps": self.memory_time(values),
        }

    def friction(self, values: Values):
        """(T,) amu/ps: the integral of K over all times."""
        rate, omega = values["rate"], values["frequency"]
        modes = (values["strength"] * values["time"]).sum(1)
        modes = modes + (values["cosine"] * rate / (rate**2 + omega**2)).sum(1)
        return values["gamma"] + values["mass"] * modes

    def memory_time(self, values: Values):
        """(T,) ps: int t K dt/int K dt, the mean time of the memory, of which the white part has
        none. Negative where swinging outweighs decay."""
        square, swing = values["rate"] ** 2, values["frequency"] ** 2
        modes = (values["strength"] * values["time"] ** 2).sum(1)
        modes = modes + (values["cosine"] * (square - swing) / (square + swing) ** 2).sum(1)
        return values["mass"] * modes / self.friction(values)

    def kernel(self, values: Values, t: np.ndarray) -> np.ndarray:
        """K(t)/m without its white part, (T, len(t)), 1/ps^2, at times t (ps)."""
        names = ("strength", "time", "cosine", "rate", "frequency")
        modes = [np.asarray(values[name], np.float64) for name in names]
        white = np.asarray(values["gamma"] / values["mass"], np.float64)
        return np.stack([Kernel(*numbers).at(t) for numbers in zip(white, *modes, strict=True)])


def _applied(matrix: Array, u: Array) -> Array:
    """`matrix` of all sites (A, B), or of each (N, A, B), on u (B, N, 3)."""
    if matrix.ndim == 2:
        return jnp.einsum("ab,bnx->anx", matrix, u, precision=EXACT)
    return jnp.einsum("nab,bnx->anx", matrix, u, precision=EXACT)
