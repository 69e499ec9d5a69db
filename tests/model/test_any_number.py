"""A model knows types of sites and kinds of bonds, no number of sites: it runs as many as wanted.

Molecules A-B, and atoms A and B by themselves; the model is kept in files and read again.
"""

import jax
import numpy as np
import openmm
import pytest

from dynmatch.api import TrainedModel, load_model
from dynmatch.errors import DynmatchError
from dynmatch.export import openmm_files, openmm_system
from dynmatch.model_file import save
from dynmatch.potentials.bonded import Kind
from dynmatch.potentials.sum import Potential
from dynmatch.simulation import run
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from tests.helpers.fluids import bonded_sites, fluid, random_parameters, unbonded
from tests.helpers.models import model_of, still
from tests.helpers.molecules import FORM as DIPEPTIDE
from tests.helpers.molecules import molecule

pytestmark = pytest.mark.usefixtures("compilation_cache")

ONE = bonded_sites("AB", [(0, 1)])
SPACING = 1.5
"""Between the molecules, nm: out of the reach of one another."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> TrainedModel:
    """Trained on two molecules, for all that its files say."""
    potential = fluid(
        ("A", "B"), 0.25, kT=2.494, basis=12, degree=1, kinds=(Kind(("A", "B"), (0.3, 900.0)),)
    )
    model = model_of(
        potential, random_parameters(potential, 1, 0.3), friction=(200.0, 400.0), mass=(15.0, 17.0)
    )
    folder = tmp_path_factory.mktemp("model")
    save(folder / "model.yaml", folder / "model.npz", model, ONE.repeated(2), {})
    return load_model(folder / "model.yaml")


def molecules(count: int, topology: SiteTopology = ONE) -> SiteTrajectory:
    """Copies, turned alike, on a cubic lattice that fills the box."""
    per_edge = int(np.ceil(np.cbrt(count) - 1e-9))
    nodes = np.stack(np.unravel_index(np.arange(count), (per_edge,) * 3), 1) * SPACING
    one = np.array([[0.1, 0.1, 0.1], [0.35, 0.2, 0.1], [0.1, 0.45, 0.2], [0.3, 0.5, 0.4]])
    positions = (nodes[:, None] + one[: topology.n_sites]).reshape(-1, 3)
    return still(positions, topology.repeated(count), np.full(3, per_edge * SPACING))


def energy_of(trained: TrainedModel, sites: SiteTrajectory) -> tuple[float, np.ndarray]:
    return trained.evaluate(sites.positions[0], sites.box, sites.topology)


@pytest.mark.parametrize("count", [8, 100, 1000])
def test_couples_apart_have_as_many_times_the_energy_of_one(trained, count):
    """Of two molecules side by side; by all pairs for few, and by lists of neighbours for many."""
    couple = ONE.repeated(2)
    energy, forces = energy_of(trained, molecules(1, couple))
    single, _ = energy_of(trained, molecules(1))
    assert abs(energy - 2 * single) > 1.0
    many, of_many = energy_of(trained, molecules(count, couple))
    assert many == pytest.approx(count * energy, rel=1e-4)
    np.testing.assert_allclose(
        of_many, np.tile(forces, (count, 1)), atol=2e-4 * np.abs(forces).max()
    )


@pytest.mark.parametrize("count", [10, 100])
def test_the_same_files_move_few_molecules_and_many(trained, count, monkeypatch):
    """By Python and by the validation; bonds hold, and each molecule has its temperature."""
    monkeypatch.setattr(run, "FRAMES_PER_CHUNK", 6)
    start = molecules(count)
    moved = trained.simulate(start, length=0.1, frame_spacing=0.02, seed=3)
    assert moved.topology == start.topology
    bonds = np.linalg.norm(np.diff(moved.positions.reshape(6, count, 2, 3), axis=2), axis=-1)
    assert bonds.min() > 0.1 and bonds.max() < 0.6
    validated = run.simulate(trained.parameters, start, length=0.1, frame_spacing=0.02, seed=3)
    np.testing.assert_array_equal(moved.positions, validated.positions)


@pytest.mark.parametrize("count", [1, 12])
def test_openmm_has_the_same_of_any_number(trained, count, tmp_path):
    sites = molecules(count, ONE.repeated(2))
    system = openmm_system.system(trained.parameters, sites.box, sites.topology)
    assert [system.getParticleMass(k)._value for k in range(2)] == pytest.approx([15.0, 17.0])
    assert system.getNumParticles() == 4 * count
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(sites.positions[0].astype(float))
    state = context.getState(energy=True, forces=True)
    energy, forces = energy_of(trained, sites)
    assert state.getPotentialEnergy()._value == pytest.approx(energy, rel=1e-4)
    found = state.getForces(asNumpy=True)._value
    np.testing.assert_allclose(found, forces, atol=1e-4 * np.abs(forces).max())
    files = openmm_files.write(tmp_path, trained.parameters, sites, "test")
    assert {file.name for file in files} >= {"initial.pdb", "sites.json", "run_openmm.py"}


def test_a_mixture_runs_with_one_of_its_types_alone(trained, monkeypatch):
    """Of atoms A the types B and their bonds are not missed; the energy is that of A."""
    monkeypatch.setattr(run, "FRAMES_PER_CHUNK", 6)
    atoms = molecules(27, unbonded("A"))
    moved = trained.simulate(atoms, length=0.1, frame_spacing=0.02)
    assert np.isfinite(moved.positions).all()
    close = still([[0.1, 0.1, 0.1], [0.45, 0.1, 0.1]], unbonded("AA"), np.full(3, 1.5))
    potential, parameters = trained.parameters.potential, trained.parameters.parameters
    alone = fluid(("A",), 0.25, kT=2.494, basis=12, degree=1)
    channels = slice(0, 1)
    kernel = parameters["network"]["A"]["params"]["Dense_0"]["kernel"]
    # of the invariants of two channels: m_A, m_B, then m_A.m_A, m_A.m_B, m_B.m_B of each rank
    own = {"params": {"Dense_0": {"kernel": np.asarray(kernel)[[0, 2, 5]]}}}
    of_a = {
        "pair": parameters["pair"][channels],
        "radial": parameters["radial"][channels, channels],
        "network": {"A": own},
    }
    expected = alone.energy(alone.tabulate(of_a), close.positions[0], close.box, close.topology)
    assert potential.names == ("A", "B")
    assert energy_of(trained, close)[0] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("topology", "told"),
    [
        (unbonded("AC"), r"sites called C .* knows A, B"),
        (bonded_sites("AA", [(0, 1)]), r"no bonded term for A-A; it knows A-B"),
        (bonded_sites("ABA", [(0, 1), (1, 2)]), r"no bonded term for A-B-A"),
    ],
)
def test_what_it_was_not_trained_on_is_refused_by_name(trained, topology, told):
    """By energies, simulations and exports alike."""
    positions = 0.3 * np.arange(3 * topology.n_sites).reshape(-1, 3)
    sites = still(positions, topology, np.full(3, 3.0))
    with pytest.raises(DynmatchError, match=told):
        energy_of(trained, sites)
    with pytest.raises(DynmatchError, match=told):
        trained.simulate(sites, length=0.1, frame_spacing=0.02)
    with pytest.raises(DynmatchError, match=told):
        openmm_system.system(trained.parameters, sites.box, topology)


def test_sites_that_are_not_told_are_not_guessed(trained):
    """Neither at first nor after another topology was given."""
    sites = molecules(2)
    for _ in range(2):
        with pytest.raises(
            DynmatchError, match=r"the 4 here are, .* has to be given as their topology"
        ):
            trained.energy(sites.positions[0], sites.box)
        energy_of(trained, sites)


def test_a_molecule_in_internal_coordinates_is_one_molecule():
    potential = Potential((DIPEPTIDE,), ("A", "B"), 2.5)
    model = model_of(potential, potential.initialise(jax.random.key(1)))
    topology = SiteTopology(DIPEPTIDE.names, (0,) * 6, ("M",), DIPEPTIDE.coordinates.lengths)
    x, box = molecule(np.random.default_rng(1)), np.full(3, 20.0)
    assert np.isfinite(TrainedModel(model).energy(x, box, topology))
    with pytest.raises(DynmatchError, match=r"single molecule of 6 sites .* here are 12"):
        TrainedModel(model).energy(np.concatenate([x, x + 5]), box, topology.repeated(2))
