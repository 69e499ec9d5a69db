"""A mixture of two kinds of molecules, from its trajectory file to what a training starts from.

Atoms A and dumbbells B-C that do not see each other, with given bonds and frictions, which are to
be found again.
"""

import mdtraj
import numpy as np
import pytest

from dynmatch.bottom_up.boltzmann_inversion import start
from dynmatch.dynamics.initial import einstein_friction, mean_mass
from dynmatch.observables.by_type import rdf_by_type, rdf_of_types
from dynmatch.settings import PotentialSettings
from dynmatch.sites.topology import independent_sites
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.systems.trajectory.projection import project_own
from dynmatch.units import BOLTZMANN

TEMPERATURE = 300.0
KT = BOLTZMANN * TEMPERATURE
ATOMS, DUMBBELLS = 40, 20
EDGE = 2.5
FRAMES, SPACING = 400, 1.0
FRICTION = {"A": 150.0, "B": 200.0, "C": 400.0}
BOND, WIDTH = 0.25, 0.03
POTENTIAL = PotentialSettings(
    cutoff=0.6, three_body_cutoff=0.4, pair_basis=20, radial_channels=1, degree=1, hidden=()
)


def mixture() -> mdtraj.Topology:
    """Residues GAS (one atom) and DUM (two, bonded)."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(ATOMS):
        topology.add_atom("A", mdtraj.element.argon, topology.add_residue("GAS", chain))
    for _ in range(DUMBBELLS):
        residue = topology.add_residue("DUM", chain)
        ends = [topology.add_atom(n, mdtraj.element.oxygen, residue) for n in "BC"]
        topology.add_bond(*ends)
    return topology


def ideal(rng) -> np.ndarray:
    """One run (F, N, 3), nm, of molecules that do not see each other: centres of friction on
    Brownian paths, dumbbells turned anyhow, of lengths by r^2 exp(-(r - BOND)^2 / 2 WIDTH^2)."""
    friction = np.repeat([FRICTION["A"], FRICTION["B"] + FRICTION["C"]], [ATOMS, DUMBBELLS])
    steps = rng.normal(size=(FRAMES, ATOMS + DUMBBELLS, 3))
    steps *= np.sqrt(2 * KT * SPACING / friction)[:, None]
    centres = rng.uniform(0, EDGE, steps.shape[1:]) + np.cumsum(steps, 0)
    drawn = rng.normal(BOND, WIDTH, 4 * FRAMES * DUMBBELLS)
    kept = drawn[rng.random(len(drawn)) < (drawn / (BOND + 5 * WIDTH)) ** 2]
    shape = (FRAMES, DUMBBELLS)
    bonds = rng.normal(size=(*shape, 3))
    bonds /= np.linalg.norm(bonds, axis=-1, keepdims=True)
    bonds *= kept[: np.prod(shape)].reshape(*shape, 1)
    share = FRICTION["C"] / (FRICTION["B"] + FRICTION["C"])
    ends = centres[:, ATOMS:, None] + np.array([-share, 1 - share])[:, None] * bonds[:, :, None]
    return np.concatenate([centres[:, :ATOMS], ends.reshape(FRAMES, -1, 3)], 1)


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> SiteTrajectory:
    """Two runs as a user's files, wrapped atom by atom, and read as such."""
    folder = tmp_path_factory.mktemp("mixture")
    rng = np.random.default_rng(1)
    files = []
    for number in (1, 2):
        frames = mdtraj.Trajectory(
            np.mod(ideal(rng), EDGE),
            mixture(),
            time=SPACING * np.arange(FRAMES),
            unitcell_lengths=np.full((FRAMES, 3), EDGE),
            unitcell_angles=np.full((FRAMES, 3), 90.0),
        )
        files.append(folder / f"run-{number}.xtc")
        frames.save_xtc(str(files[-1]))
    frames[0].save_pdb(folder / "topology.pdb")
    sites = [{"name": name, "atoms": f"name {name}"} for name in "ABC"]
    return project_own(folder / "topology.pdb", files, SPACING, TEMPERATURE, sites)


def test_each_type_has_the_friction_of_its_own_molecules(read):
    """kT/D of A, and half of the dumbbell's sum for B and C, to 10 %, three standard errors: of
    windows of 40 ps there are 10 x 2 replicas x 20 dumbbells x 3 coordinates."""
    half = (FRICTION["B"] + FRICTION["C"]) / 2
    found = einstein_friction(read, KT)
    np.testing.assert_allclose(found, [FRICTION["A"], half, half], rtol=0.12)
    np.testing.assert_allclose(mean_mass(read), [39.948, 15.999, 15.999], rtol=1e-3)


def test_confined_sites_have_the_friction_that_they_begin_to_diffuse_with():
    """Brownian sites in harmonic wells have MSD = 6 kT/k (1 - exp(-t/tau)), tau = gamma/k = 10 ps.

    6 kT t/MSD at t = 10 ps, to 8 % (100 sites, 40 independent times: 2 %), and not the many times
    larger friction of an MSD that has levelled off."""
    rng = np.random.default_rng(4)
    gamma, tau = 150.0, 10.0
    kept, width = np.exp(-SPACING / tau), np.sqrt(KT * tau / gamma)
    noise = np.sqrt(1 - kept**2) * width * rng.normal(size=(FRAMES, 100, 3))
    x = np.zeros_like(noise)
    x[0] = width * rng.normal(size=(100, 3))
    for step in range(1, FRAMES):
        x[step] = kept * x[step - 1] + noise[step]
    time, masses = SPACING * np.arange(FRAMES), np.full(100, 18.0)
    wells = SiteTrajectory(
        x.astype(np.float32), time, masses, independent_sites(["W"] * 100, "W"), np.full(3, 9.0)
    )
    expected = gamma * (10.0 / tau) / (1 - np.exp(-10.0 / tau))
    assert einstein_friction(wells, KT)[0] == pytest.approx(expected, rel=0.08)


def test_a_training_starts_from_the_bonds_and_pairs_of_the_mixture(read):
    potential, parameters = start(read, KT, POTENTIAL)
    assert potential.names == ("A", "B", "C")
    (bond,) = potential.term("bonded").kinds
    assert bond.names == ("B", "C")
    assert read.topology.bonded_kinds["B", "C"].shape == (DUMBBELLS, 2)
    length, stiffness = bond.parameters
    assert length == pytest.approx(BOND, abs=0.002)
    assert stiffness == pytest.approx(KT / WIDTH**2, rel=0.05)
    assert parameters["pair"].shape == (6, POTENTIAL.pair_basis)
    assert np.isfinite(parameters["pair"]).all()


def test_every_pair_of_types_has_its_rdf(read):
    """Of a gas: 1 beyond its cores, within 5 standard errors."""
    table = rdf_by_type(rdf_of_types(read, 0.05))
    assert list(dict.fromkeys(table.types)) == ["A-A", "A-B", "A-C", "B-B", "B-C", "C-C"]
    beyond = table[table.r_nm > 0.3]
    assert (np.abs(beyond.rdf - 1) < 5 * beyond.error).all()
