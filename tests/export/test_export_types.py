"""Exported models of several types of sites: our own forces and dynamics in other engines."""

from dataclasses import replace
from itertools import pairwise

import ase
import jax
import jax.numpy as jnp
import numpy as np
import openmm
import pytest

from dynmatch.api import load_model
from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.errors import DynmatchError
from dynmatch.export import lammps, lammps_script, openmm_files, openmm_system
from dynmatch.export.ase import DynmatchCalculator
from dynmatch.model import Model
from dynmatch.potentials.bonded import Kind, Spline
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from tests.export.test_export import (
    EVERY,
    FRAMES,
    STEPS,
    TOLERANCE,
    assert_the_closed_form,
    free_msd,
    in_openmm,
    in_order,
    lammps_forces,
    started,
)
from tests.export.test_export import SITES as MANY
from tests.helpers import exported
from tests.helpers.fluids import (
    fluid,
    jittered_lattice,
    random_parameters,
    unbonded,
    without,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")

EDGE = 1.3
BOX = np.full(3, EDGE)
SITES = 27
CHAIN = ((0, 1), (1, 2), (2, 3), (3, 4))
CORE = 0.20005986
KINDS = (
    Kind(("A", "B"), (0.4, 900.0), Spline(0.35, 0.5, 6, 2.5)),
    Kind(("A", "B", "A"), (-0.3, 12.0), Spline(-0.8, 0.6, 7, 2.5)),
    Kind(("B", "A", "B"), (-0.1, 9.0)),
    Kind(
        ("A", "B", "A", "B"),
        (1.0, -2, 3, 4, 5, 6, -7, 8),
        Spline(-np.pi, np.pi, 9, 2.5, periodic=True),
    ),
)
TOPOLOGY = SiteTopology(tuple("AB" * 13 + "A"), (0,) * 5 + tuple(range(1, 23)), ("M",) * 23, CHAIN)


def trained(kind="ld") -> Model:
    """Two types, with bonds, angles and dihedrals, and every parameter different from zero."""
    potential = fluid(("A", "B"), (0.25, 0.23, 0.21), channels=2, hidden=(5,), kinds=KINDS)
    return exported.model_of(kind, potential, random_parameters(potential, 1))


@pytest.fixture(scope="module")
def start() -> SiteTrajectory:
    sites = jittered_lattice(np.random.default_rng(3), EDGE, 0.03).astype(np.float32)
    return SiteTrajectory(sites[None], np.zeros(1), np.ones(SITES), TOPOLOGY, BOX)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return exported.kept(tmp_path_factory.mktemp("model"), trained(), TOPOLOGY)


def test_openmm_and_ase_have_our_energy_and_forces(start, kept):
    """To the rounding of single precision."""
    x = start.positions[0].astype(float)
    energy, forces = load_model(kept).evaluate(x, BOX, TOPOLOGY)
    system = openmm_system.system(trained(), BOX, TOPOLOGY)
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(x)
    state = context.getState(energy=True, forces=True)
    atoms = atoms_at(x, DynmatchCalculator(kept, TOPOLOGY))
    kj = ase.units.kJ / ase.units.mol
    for e, f in (
        (state.getPotentialEnergy()._value, state.getForces(asNumpy=True)._value),
        (atoms.get_potential_energy() / kj, 10 * atoms.get_forces() / kj),
    ):
        assert e == pytest.approx(energy, rel=1e-4)
        np.testing.assert_allclose(f, forces, atol=1e-4 * np.abs(forces).max())


def atoms_at(x: np.ndarray, calculator: DynmatchCalculator) -> ase.Atoms:
    return ase.Atoms(f"He{len(x)}", 10 * x, cell=10 * BOX, pbc=True, calculator=calculator)


@pytest.mark.parametrize("kind", DYNAMICS)
def test_each_type_diffuses_in_openmm_as_it_was_learned(kind):
    """Free sites, half of either type, by the closed forms and tolerance of one type, times the
    square root of two."""
    model = trained(kind)
    context, integrator = in_openmm(model, unbonded("AB" * (MANY // 2)))
    integrator.step(STEPS)
    x = context.getState(positions=True).getPositions(asNumpy=True)._value
    moved = np.sum(x**2, 1).reshape(-1, 2).mean(0)
    expected = [free_msd(model, STEPS, number) for number in (0, 1)]
    assert moved == pytest.approx(expected, rel=TOLERANCE * np.sqrt(2))


def test_each_type_has_its_own_memory_in_openmm():
    model = trained("gle")
    context, integrator = in_openmm(model, unbonded("AB" * 500))
    velocities = []
    for _ in range(FRAMES):
        state = context.getState(velocities=True)
        velocities.append(state.getVelocities(asNumpy=True)._value)
        integrator.step(EVERY)
    for number in (0, 1):
        assert_the_closed_form(model, np.array(velocities)[:, number::2], number)


def linear(kind="ld") -> Model:
    """The same with linear three-body terms, which are a tenth of the forces in `start`."""
    potential = fluid(("A", "B"), (0.25, 0.23, 0.21), channels=2, kinds=KINDS)
    drawn = random_parameters(potential, 1, 0.5)
    network = jax.tree.map(jnp.negative, drawn["network"])
    return exported.model_of(
        kind, potential, drawn | {"radial": 60 * drawn["radial"], "network": network}
    )


def folded(length: int = 5) -> SiteTrajectory:
    """64 sites, five or fewer of them a folded chain: LAMMPS wants the third site of an angle or
    dihedral within half the box."""
    chain = (0, 1, 5, 21, 22)[:length]
    names = list("AB" * 32)
    for site, name in zip(chain, "ABABA", strict=False):
        names[site] = name
    residues = [0 if site in chain else site for site in range(64)]
    kept = list(dict.fromkeys(residues))
    topology = SiteTopology(
        tuple(names),
        tuple(kept.index(residue) for residue in residues),
        ("M",) * len(kept),
        tuple(pairwise(chain)),
    )
    edge = EDGE * 4 / 3
    sites = jittered_lattice(np.random.default_rng(3), edge, 0.03, 4).astype(np.float32)
    return SiteTrajectory(sites[None], np.zeros(1), np.ones(64), topology, np.full(3, edge))


def test_lammps_has_our_energy_and_forces(tmp_path):
    """Tables of each pair, splines of each triple, bonds, angles and dihedrals, exclusions: to 1e-3
    of the root mean square force, of the bonded sites alone too. Energies of dihedrals differ by a
    constant."""
    model, start = linear(), folded()
    lammps.write(tmp_path, model, start, "test")
    _, forces = lammps_forces(started(tmp_path))
    x, box, topology = start.positions[0], start.box, start.topology
    _, ours = Calculator(model, box, topology)(x)
    size = np.sqrt(np.mean(ours**2))
    for group in ("radial", "pair"):
        silent = replace(model, parameters=without(group, model.parameters))
        _, less = Calculator(silent, box, topology)(x)
        assert np.sqrt(np.mean((ours - less) ** 2)) > 0.02 * size, f"{group} does not count"
    bonded = np.unique(topology.bonds)
    for some in (np.arange(64), bonded):
        assert np.sqrt(np.mean((forces - ours)[some] ** 2)) < 1e-3 * size


def test_neighbours_at_the_very_edge_in_lammps(tmp_path):
    """LAMMPS finds the interval of a distance between uniform knots by a division. With this core,
    their spacing rounds down: 1e-7 nm below the cutoff, an interval too far was not a number."""
    model = linear()
    terms = [
        replace(term, cores=(CORE,) * len(term.cores)) if term.kind == "pair" else term
        for term in model.potential.terms
    ]
    model = replace(model, potential=replace(model.potential, terms=tuple(terms)))
    edge = model.potential.term("three_body").cutoff - 1e-7
    x = 0.5 + np.array([[0.0, 0.0, 0.0], [edge, 0.0, 0.0], [0.0, 0.3, 0.0]])
    start = replace(folded(), positions=x[None], masses=np.ones(3), topology=unbonded("ABA"))
    lammps.write(tmp_path, model, start, "test")
    _, forces = lammps_forces(started(tmp_path))
    _, ours = Calculator(model, start.box, start.topology)(x)
    assert np.sqrt(np.mean((forces - ours) ** 2)) < 1e-3 * np.sqrt(np.mean(ours**2))


@pytest.mark.parametrize("kind", DYNAMICS)
def test_each_type_diffuses_in_lammps_as_it_was_learned(tmp_path, kind):
    """Free sites, half of either type, too far apart to interact."""
    model = linear(kind)
    x = 27.0 / 4 * np.stack(np.meshgrid(*[np.arange(4) + 0.5] * 3), -1).reshape(1, -1, 3)
    topology = unbonded("AB" * 32)
    sparse = SiteTrajectory(
        x.astype(np.float32), np.zeros(1), np.ones(64), topology, np.full(3, 27.0)
    )
    lammps.write(tmp_path, model, sparse, "test")
    lmp = started(tmp_path, ["-var", "copies", "5"])
    first = in_order(lmp, "x").copy()
    types = in_order(lmp, "type")
    lmp.command(f"run {STEPS * lammps_script.MOTIONS[kind].refined}")
    moved = np.sum((in_order(lmp, "x") - first) ** 2, 1) / 100
    # some have crossed a face of the box
    inside = moved < 100.0
    assert inside.mean() > 0.99
    expected = [free_msd(model, STEPS, number) for number in (0, 1)]
    found = [moved[inside & (types == number)].mean() for number in (1, 2)]
    assert found == pytest.approx(expected, rel=2 * TOLERANCE)


def test_a_network_of_several_types_is_not_written_for_lammps(tmp_path, start):
    with pytest.raises(DynmatchError, match=r"a network of several types of sites or with bonds"):
        lammps.write(tmp_path, trained(), start, "test")


def test_openmm_has_our_energy_and_forces_by_formulas_alone(tmp_path):
    """From the XML file, of linear terms and molecules of four sites: to 1e-3 of the root mean
    square force, for our own table of the pair term, and of the bonded sites alone."""
    model, start = linear(), folded(4)
    openmm_files.write(tmp_path, model, start, "test")
    assert "from dynmatch" not in (tmp_path / "run_openmm.py").read_text()
    system = openmm.XmlSerializer.deserialize((tmp_path / "system.xml").read_text())
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(start.positions[0].astype(float))
    state = context.getState(energy=True, forces=True)
    energy, ours = Calculator(model, start.box, start.topology)(start.positions[0])
    assert state.getPotentialEnergy()._value == pytest.approx(energy, rel=1e-3)
    off = state.getForces(asNumpy=True)._value - ours
    size = np.sqrt(np.mean(ours**2))
    for some in (np.arange(64), np.unique(start.topology.bonds)):
        assert np.sqrt(np.mean(off[some] ** 2)) < 1e-3 * size


@pytest.mark.parametrize("kind", DYNAMICS)
def test_openmm_computes_what_it_has_no_formula_for(tmp_path, start, kind):
    """Networks, and molecules whose ends see each other."""
    for model, frame in ((trained(kind), start), (linear(kind), folded())):
        openmm_files.write(tmp_path, model, frame, "test")
        assert not (tmp_path / "system.xml").exists()
        assert "openmm_system.system" in (tmp_path / "run_openmm.py").read_text()


def test_sites_that_are_not_named_are_refused(start, kept):
    """The number of sites does not tell their types."""
    atoms = atoms_at(start.positions[0], DynmatchCalculator(kept))
    with pytest.raises(DynmatchError, match="sites of types A, B; which of them"):
        atoms.get_potential_energy()
    with pytest.raises(DynmatchError, match="of no type of the model, which knows A, B"):
        openmm_system.system(trained(), BOX, unbonded("AC"))
