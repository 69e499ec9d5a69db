"""Force matching against the closed-form solution of linear least squares."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from dynmatch.bottom_up import force_matching
from dynmatch.errors import DynmatchError
from dynmatch.settings import ForceMatchingRates
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import fluid, jittered_lattice, random_parameters

EDGE = 1.2
FRAMES = 48
NOISE = 20.0
"""kJ/mol/nm, of the forces that no potential follows."""
SITES = independent_sites(["S"] * 27, "S")
FORM = fluid(("S",), 0.25, kT=2.5, basis=12)


@pytest.fixture(scope="module")
def start() -> dict:
    """Nothing learned; the radial functions are fixed, so that forces are linear in the rest."""
    return FORM.initialise(jax.random.key(0))


@pytest.fixture(scope="module")
def trajectory(start) -> SiteTrajectory:
    """Jittered lattices, with the forces of a potential of the same form, and noise on them."""
    rng = np.random.default_rng(1)
    positions = np.stack([jittered_lattice(rng, EDGE, 0.1) for _ in range(FRAMES)])
    truth = random_parameters(FORM, 2) | {"radial": start["radial"]}
    forces = forces_of(truth, positions)
    return SiteTrajectory(
        positions=positions.astype(np.float32),
        time=np.arange(FRAMES, dtype=float),
        masses=np.full(27, 18.0),
        topology=SITES,
        box=np.full(3, EDGE),
        forces=np.asarray(forces) + NOISE * rng.normal(size=forces.shape),
    )


def forces_of(parameters: dict, positions: np.ndarray) -> jax.Array:
    tables = FORM.tabulate(parameters)
    box = jnp.full(3, EDGE)
    return jax.lax.map(lambda x: FORM.force(tables, x, box, SITES), jnp.asarray(positions))


def least_squares(start: dict, trajectory: SiteTrajectory) -> np.ndarray:
    """Forces (F, N, 3) of the pair coefficients and linear weights that minimise chi^2."""
    flat, restore = ravel_pytree({name: start[name] for name in ("pair", "network")})

    def forces(flat):
        return forces_of({**restore(flat), "radial": start["radial"]}, trajectory.positions).ravel()

    offset = np.asarray(forces(flat), np.float64)
    matrix = np.asarray(jax.jacfwd(forces)(flat), np.float64)
    solution = np.linalg.lstsq(matrix, trajectory.forces.ravel() - offset, rcond=None)[0]
    return (offset + matrix @ solution).reshape(trajectory.forces.shape)


def test_forces_are_those_of_the_linear_least_squares_solution(start, trajectory):
    """The root of chi^2 within 0.5 % of its minimum, so that forces differ by a tenth of the noise
    at most; the start is wrong by more than twice the noise."""
    best = least_squares(start, trajectory)
    rows = []
    found = force_matching.minimise(
        FORM,
        start,
        trajectory,
        3,
        updates=1500,
        rates=ForceMatchingRates(pair=0.05, radial=0.0, network=0.05),
        roughness=0.0,
        report=rows.append,
    )
    ours = np.asarray(forces_of(found, trajectory.positions))

    def rms(x):
        return float(np.sqrt(np.mean(x**2)))

    assert rms(np.asarray(forces_of(start, trajectory.positions)) - best) > 2 * NOISE
    assert rms(ours - trajectory.forces) < 1.005 * rms(best - trajectory.forces)
    assert rows[-1]["force_error"] == pytest.approx(NOISE, rel=0.1)


def test_trajectory_without_forces_is_refused_with_what_provides_them(start, trajectory):
    bare = trajectory.frames(slice(None))
    bare = SiteTrajectory(**{**vars(bare), "forces": None})
    with pytest.raises(DynmatchError, match=r"projected forces.*rule projection.*baselines"):
        force_matching.minimise(
            FORM,
            start,
            bare,
            0,
            updates=1,
            rates=ForceMatchingRates(),
            roughness=0.0,
            report=print,
        )
