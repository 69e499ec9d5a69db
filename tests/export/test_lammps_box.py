"""LAMMPS fills a box of another composition and density, by the templates of the export."""

import numpy as np
import pytest

from dynmatch.export import lammps, lammps_box
from dynmatch.export.lammps_script import site_masses
from dynmatch.model import Model
from dynmatch.potentials.bonded import Kind
from dynmatch.simulation.calculator import Calculator
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.units import AMU_PER_NM3, BOLTZMANN
from tests.export.test_export import in_order, lammps_forces, started
from tests.helpers import exported
from tests.helpers.fluids import fluid, jittered_lattice, random_parameters

pytestmark = pytest.mark.usefixtures("quick_compilation")

KINDS = (Kind(("A", "B"), (0.3, 2000.0)), Kind(("A", "B", "A"), (-0.6, 20.0)))
CHAINS, ATOMS = 12, 28
CHAIN_MASS, ATOM_MASS = 70.0, 40.0
EDGE = 2.2


def trained(bonds: bool = True) -> Model:
    """Linear terms with something in every parameter; cores are what keeps sites apart."""
    kinds = KINDS if bonds else ()
    potential = fluid(
        ("A", "B"), (0.3, 0.28, 0.26), cutoff=0.7, three_body_cutoff=0.5, degree=2, kinds=kinds
    )
    return exported.model_of("ld", potential, random_parameters(potential, 1, 0.2))


def reference(bonds: bool = True) -> SiteTrajectory:
    """Chains A-B-A and single sites A and B on a lattice; they need not be where they belong."""
    chain = SiteTopology(("A", "B", "A"), (0, 0, 0), ("CHN",), ((0, 1), (1, 2)) * bonds)
    singles = CHAINS * [("B", "SOL")] + (ATOMS - CHAINS) * [("A", "SOL")]
    chains = chain.repeated(CHAINS)
    topology = SiteTopology(
        chains.names + tuple(name for name, _ in singles),
        chains.residues + tuple(range(CHAINS, CHAINS + ATOMS)),
        chains.residue_names + tuple(residue for _, residue in singles),
        chains.bonds,
    )
    x = jittered_lattice(np.random.default_rng(1), EDGE, 0.02, 4)
    masses = np.concatenate([np.full(3 * CHAINS, CHAIN_MASS / 3), np.full(ATOMS, ATOM_MASS)])
    return SiteTrajectory(
        x.astype(np.float32)[None], np.zeros(1), masses, topology, np.full(3, EDGE)
    )


def test_kinds_of_molecules_are_told_apart():
    found = lammps_box.species_of(reference())
    assert [(each.name, len(each.sites), each.mass) for each in found] == [
        ("CHN", CHAINS, pytest.approx(CHAIN_MASS)),
        ("SOL", CHAINS, ATOM_MASS),
        ("SOL_2", ATOMS - CHAINS, ATOM_MASS),
    ]
    assert found[0].topology.bonds == ((0, 1), (1, 2))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A box of 40 chains and 30 sites A at 0.9 g/cm^3: LAMMPS after in.fill, and the folder."""
    folder = tmp_path_factory.mktemp("lammps")
    lammps.write(folder, trained(), reference(), "test")
    numbers = {"n_CHN": "40", "n_SOL": "0", "n_SOL_2": "30", "density": "0.9"}
    options = [word for each in numbers.items() for word in ("-var", *each)]
    return started(folder, options, "in.fill"), folder


def whole() -> SiteTopology:
    chain, single = (lammps_box.species_of(reference())[k].topology for k in (0, 2))
    chains, singles = chain.repeated(40), single.repeated(30)
    return SiteTopology(
        chains.names + singles.names,
        chains.residues + tuple(40 + r for r in singles.residues),
        chains.residue_names + singles.residue_names,
        chains.bonds,
    )


def test_the_box_has_the_composition_and_density(filled):
    lmp, folder = filled
    types = in_order(lmp, "type")
    expected = np.concatenate([np.tile([1, 2, 1], 40), np.ones(30)])
    np.testing.assert_array_equal(types, expected)
    mass = 40 * CHAIN_MASS + 30 * ATOM_MASS
    volume = lmp.get_thermo("vol") / 1000
    assert mass * AMU_PER_NM3 / volume == pytest.approx(0.9, rel=1e-6)
    text = (folder / "filled.data").read_text()
    assert "150 atoms" in text and "80 bonds" in text and "40 angles" in text


def test_its_molecules_are_whole_and_its_energy_is_ours(filled):
    """To 2e-3 of the root mean square force, and of the energy, a little off its minimum, where
    bonds lie within five standard deviations of theirs."""
    lmp, _ = filled
    model, topology = trained(), whole()
    edge = lmp.get_thermo("vol") ** (1 / 3) / 10
    lmp.command("displace_atoms all random 0.2 0.2 0.2 7")
    found, forces = lammps_forces(lmp)
    x = in_order(lmp, "x") / 10
    energy, ours = Calculator(model, np.full(3, edge), topology)(x)
    size = np.sqrt(np.mean(ours**2))
    assert size > 50
    assert np.sqrt(np.mean((forces - ours) ** 2)) < 2e-3 * size
    assert found == pytest.approx(energy, abs=2e-3 * abs(energy) + 0.5)
    bonds = np.array(topology.bonds)
    d = x[bonds[:, 0]] - x[bonds[:, 1]]
    d -= edge * np.round(d / edge)
    width = np.sqrt(model.kT / 2000.0)
    assert np.abs(np.linalg.norm(d, axis=1) - 0.3).max() < 5 * width


def test_the_script_of_the_model_runs_the_box(filled):
    """At its temperature, of 150 sites to 30 %, four standard errors."""
    _, folder = filled
    lmp = started(folder, ["-var", "data", str(folder / "filled.data")])
    lmp.command("run 500")
    assert lmp.get_natoms() == 150
    masses = np.array(site_masses(trained()))[in_order(lmp, "type") - 1]
    twice_kinetic = masses @ np.sum((100 * in_order(lmp, "v")) ** 2, 1)
    assert twice_kinetic / (3 * 150 * BOLTZMANN) == pytest.approx(exported.TEMPERATURE, rel=0.3)
    assert np.isfinite(lmp.get_thermo("pe"))


def test_a_box_of_single_sites_is_filled(tmp_path):
    """Without bonds there are neither styles nor sections of them."""
    model, start = trained(bonds=False), reference(bonds=False)
    lammps.write(tmp_path, model, start, "test")
    lmp = started(tmp_path, [], "in.fill")
    assert lmp.get_natoms() == 64
    assert np.isfinite(lmp.get_thermo("pe"))
