"""The structural start finds the potential that made the samples: Henderson's theorem."""

import jax
import numpy as np
from dynmatch.potentials.potential import PotentialForm

from dynmatch.bottom_up import relative_entropy
from dynmatch.bottom_up.relative_entropy import StartRates
from dynmatch.observables.rdf import rdf
from dynmatch.potentials import potential
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.sites.windows import LearningData
from tests.helpers.fluids import jittered_lattice

KT = 2.5
EDGE = 1.2
MASS = 18.0
FORM = PotentialForm(
    cutoff=0.6,
    three_body_cutoff=0.45,
    core=0.3,
    thermal_energy=KT,
    pair_basis=20,
    radial_channels=1,
    hidden=(),
)


def known_energy(r: np.ndarray) -> np.ndarray:
    """u(r)/kT: a soft core, a well at 0.37 nm and a barrier at 0.48 nm."""
    well, barrier = (np.exp(-(((r - centre) / 0.05) ** 2)) for centre in (0.37, 0.48))
    return np.where(r < FORM.cutoff, (FORM.core / r) ** 12 - well + 0.4 * barrier, 0.0)


def monte_carlo(walkers: int, sweeps: int, every: int, skip: int) -> np.ndarray:
    """Canonical samples (frames, 27, 3) nm by Metropolis moves of single sites."""
    rng = np.random.default_rng(1)
    x = np.stack([jittered_lattice(rng, EDGE, 0.02) for _ in range(walkers)])
    sites = x.shape[1]

    def energy_of(site, place):
        d = x - place[:, None]
        r = np.linalg.norm(d - EDGE * np.round(d / EDGE), axis=-1)
        r[:, site] = FORM.cutoff
        return np.sum(known_energy(np.maximum(r, 0.1)), -1)

    samples = []
    for sweep in range(sweeps):
        for site in range(sites):
            old = x[:, site].copy()
            new = old + rng.uniform(-0.1, 0.1, old.shape)
            change = energy_of(site, new) - energy_of(site, old)
            accepted = rng.random(walkers) < np.exp(-np.maximum(change, 0.0))
            x[accepted, site] = new[accepted]
        if sweep >= skip and sweep % every == 0:
            samples.append(x.astype(np.float32))
    return np.concatenate(samples)


def radial_distribution(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r (nm) and g(r) up to the cutoff."""
    sites = samples.shape[1]
    trajectory = SiteTrajectory(
        positions=samples,
        time=np.arange(len(samples), dtype=float),
        masses=np.full(sites, MASS),
        topology=independent_sites(["S"] * sites, "S"),
        box=np.full(3, EDGE),
    )
    table = rdf(trajectory, 0.01)
    return table.r_nm.to_numpy(), table.rdf.to_numpy()


def pair_energy(parameters: dict, r: np.ndarray) -> np.ndarray:
    """u(r)/kT of the spline and the core."""
    coefficients = np.asarray(parameters["pair"]["params"]["coefficients"])
    return potential.spline_design(FORM, r) @ coefficients + potential.core_energy(FORM, r)


def test_known_pair_potential_is_recovered_from_monte_carlo_samples():
    """Within 0.1 kT wherever g > 0.1, where the core is wrong by 1 kT and -ln g by 0.2 kT."""
    samples = monte_carlo(walkers=64, sweeps=500, every=20, skip=100)
    data = LearningData(
        frames=samples,
        means=samples,
        spacing=1.0,
        offsets=np.array([0]),
        starts=np.arange(len(samples)),
        held_out=np.array([0]),
        box=np.full(3, EDGE),
    )
    r, g = radial_distribution(samples)
    r, g = r[g > 0.1], g[g > 0.1]
    exact = known_energy(r)
    start = potential.initialise(FORM, jax.random.key(2))
    rows = []
    found = relative_entropy.minimise(
        FORM,
        start,
        data,
        MASS,
        jax.random.key(3),
        updates=200,
        replicas=8,
        rates=StartRates(pair=0.05, radial=0.0, network=0.0),
        roughness=1e-3,
        report=rows.append,
    )
    assert np.max(np.abs(pair_energy(start, r) - exact)) > 0.9
    assert np.max(np.abs(-np.log(g) - exact)) > 0.2
    np.testing.assert_allclose(pair_energy(found, r), exact, atol=0.1)
    assert rows[-1]["rdf_error"] < 0.05
