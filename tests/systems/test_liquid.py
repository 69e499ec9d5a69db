"""Liquids of molecules: force fields by closed forms and OpenMM's own, packing, and projection."""

import copy
import subprocess
import sys
from itertools import combinations

import numpy as np
import openmm
import pytest
import yaml
from openmm import app, unit

from dynmatch.errors import DynmatchError
from dynmatch.sites.box import minimum_image
from dynmatch.sites.trajectory import read
from dynmatch.systems.all_atom.particles import degrees_of_freedom, masses
from dynmatch.systems.molecular_liquid.build import build_liquid
from dynmatch.systems.registry import card_of
from dynmatch.units import AMU_PER_NM3, BOLTZMANN
from dynmatch.workflow.config import complete
from tests.helpers.rule_files import ROOT
from tests.workflow.test_config import changed, load

EXAMPLES = ROOT / "examples"
HEXANE = EXAMPLES / "alkanes" / "hexane.pdb"
ALKANES = [str(EXAMPLES / "alkanes" / "trappe_ua.xml")]
METHANOL = EXAMPLES / "methanol" / "methanol.pdb"
ALCOHOL = [str(EXAMPLES / "methanol" / "methanol.xml")]
BRINE = [str(EXAMPLES / "brine" / "brine.xml")]
COULOMB = 138.935456
"""kJ/mol nm/e^2."""


def brine(waters: int, pairs: int, **others):
    counts = {"water": waters, "sodium": pairs, "chloride": pairs}
    files = [{"file": EXAMPLES / "brine" / f"{k}.pdb", "count": n} for k, n in counts.items()]
    return build_liquid(files, BRINE, **{"density": 1.057, "cutoff": 0.5, **others})


def one_kind(file, force_field, count: int, density: float, cutoff: float = 0.7):
    return build_liquid([{"file": file, "count": count}], force_field, density, cutoff, 300.0)


def energy(system, positions) -> float:
    """Without the correction for attractions beyond the cutoff, which positions do not change."""
    system = copy.deepcopy(system)
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            force.setUseDispersionCorrection(False)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(positions)
    return context.getState(energy=True).getPotentialEnergy()._value


def angle(x, i, j, k) -> float:
    a, b = x[i] - x[j], x[k] - x[j]
    return np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def torsion(x, i, j, k, m) -> float:
    b = x[j] - x[i], x[k] - x[j], x[m] - x[k]
    n, n2 = np.cross(b[0], b[1]), np.cross(b[1], b[2])
    return np.arctan2(np.linalg.norm(b[1]) * b[0] @ n2, n @ n2)


def lennard_jones(r, sigma, epsilon) -> float:
    return 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)


def test_hexane_has_the_energy_of_trappe():
    """The closed form of Martin and Siepmann (1998), energies over kB, at a distorted molecule."""
    x = np.array(one_kind(HEXANE, ALKANES, 1, 0.002).molecules[0])
    x += 0.02 * np.random.default_rng(1).normal(size=x.shape)
    expected = sum(
        0.5 * 62500 * (angle(x, i, i + 1, i + 2) - np.radians(114)) ** 2 for i in range(4)
    )
    for i in range(3):
        phi = torsion(x, i, i + 1, i + 2, i + 3)
        expected += 355.03 * (1 + np.cos(phi)) - 68.19 * (1 - np.cos(2 * phi))
        expected += 791.32 * (1 + np.cos(3 * phi))
    sigma = [0.375, *4 * [0.395], 0.375]
    epsilon = [98.0, *4 * [46.0], 98.0]
    for i, j in combinations(range(6), 2):
        if j - i > 3:
            mixed = (sigma[i] + sigma[j]) / 2, np.sqrt(epsilon[i] * epsilon[j])
            expected += lennard_jones(np.linalg.norm(x[i] - x[j]), *mixed)
    box = one_kind(HEXANE, ALKANES, 1, 0.002)
    assert energy(box.system, x) == pytest.approx(BOLTZMANN * expected, rel=1e-5)


def test_two_methanols_have_the_energy_of_trappe():
    """Chen, Potoff and Siepmann (2001): angles, and all pairs of sites of the two; in a box whose
    images see a dipole of 0.05 e nm at 8 nm, less than 0.01 kJ/mol."""
    edge = 8.0
    density = 2 * 32.042 * AMU_PER_NM3 / edge**3
    box = one_kind(METHANOL, ALCOHOL, 2, density, 2.0)
    one = box.molecules[0]
    rng = np.random.default_rng(2)
    x = np.concatenate([one, one[:, [1, 2, 0]] + [0.1, 0.35, 0.1]])
    x += 0.005 * rng.normal(size=x.shape)
    expected = sum(
        0.5 * 55400 * BOLTZMANN * (angle(x, *sites) - np.radians(108.5)) ** 2
        for sites in ((0, 1, 2), (3, 4, 5))
    )
    charge, sigma = [0.265, -0.7, 0.435], [0.375, 0.302, 0.0]
    epsilon = [98.0, 93.0, 0.0]
    for i in range(3):
        for j in range(3):
            r = np.linalg.norm(x[i] - x[3 + j])
            depth = BOLTZMANN * np.sqrt(epsilon[i] * epsilon[j])
            expected += COULOMB * charge[i] * charge[j] / r
            expected += lennard_jones(r, (sigma[i] + sigma[j]) / 2, depth)
    assert energy(box.system, x) == pytest.approx(expected, abs=0.02)


def test_brine_has_the_energy_of_openmms_own_file_of_the_same_force_field():
    """amber14/spce.xml: Lennard-Jones terms of water have other last digits there, by 1e-4."""
    box = brine(30, 2, temperature=300.0)
    x = box.start(1)
    own = app.ForceField("amber14/spce.xml").createSystem(
        box.topology,
        nonbondedMethod=app.PME,
        nonbondedCutoff=0.5 * unit.nanometer,
        constraints=app.AllBonds,
    )
    expected = energy(own, x)
    assert expected < -1000
    assert energy(box.system, x) == pytest.approx(expected, rel=5e-4)


@pytest.fixture(scope="module")
def hexane():
    return one_kind(HEXANE, ALKANES, 27, 0.655)


def test_a_packed_box_has_its_density_and_no_overlaps(hexane):
    """Molecules of 0.66 nm in a box of 1.8 nm, where they cannot stand upright on a lattice."""
    found = masses(hexane.system).sum() * AMU_PER_NM3 / hexane.edge**3
    assert found == pytest.approx(0.655)
    assert found == pytest.approx(27 * (2 * 15.035 + 4 * 14.027) * AMU_PER_NM3 / hexane.edge**3)
    x = hexane.start(1)
    i, j = np.triu_indices(len(x), 1)
    between = i // 6 != j // 6
    box = np.full(3, hexane.edge)
    r = np.linalg.norm(minimum_image(x[i[between]] - x[j[between]], box), axis=1)
    assert r.min() > 0.28
    bonds = np.linalg.norm(np.diff(x.reshape(27, 6, 3), axis=1), axis=2)
    np.testing.assert_allclose(bonds, 0.154, atol=1e-5)
    assert degrees_of_freedom(hexane.system) == 3 * 27 * 6 - 27 * 5 - 3


def test_starts_differ_by_their_seeds_and_come_again(hexane):
    one, other, again = (hexane.start(seed) for seed in (1, 2, 1))
    np.testing.assert_array_equal(one, again)
    assert np.linalg.norm(one - other, axis=1).min() > 0.001


def test_molecules_of_a_mixture_are_mixed():
    """Ions, the last in the file, lie anywhere: not in a layer of the lattice."""
    box = brine(100, 8, temperature=300.0, cutoff=0.7)
    x = np.mod(box.start(3)[-16:], box.edge) / box.edge
    assert (x.std(0) > 0.15).all()


def test_bad_files_are_named(tmp_path):
    with pytest.raises(DynmatchError, match=r"reference.molecules\[0\]: .*absent.pdb: cannot be"):
        one_kind(tmp_path / "absent.pdb", ALKANES, 1, 0.1)
    with pytest.raises(DynmatchError, match=r"reference.force_field: .*methanol.xml: cannot desc"):
        one_kind(HEXANE, ALCOHOL, 1, 0.1)
    with pytest.raises(DynmatchError, match=r"reference.cutoff: 0.7 nm is beyond half the box"):
        one_kind(HEXANE, ALKANES, 8, 0.655)


def hexane_config(**changes) -> dict:
    config = load(ROOT / "presets" / "hexane.yaml")
    for key, value in changes.items():
        config = changed(config, ("systems", "hexane", "reference", key), value)
    return config


def test_the_card_knows_sites_atoms_and_box_from_the_files(monkeypatch):
    monkeypatch.chdir(ROOT)
    system = complete(hexane_config())["systems"]["hexane"]
    card = card_of("liquid")
    assert card.sites(system) == 3 * 64
    assert card.seconds(system) > 60
    mass = 64 * (2 * 15.035 + 4 * 14.027)
    assert card.edge(system) == pytest.approx((mass * AMU_PER_NM3 / 0.655) ** (1 / 3))
    salt = complete(load(ROOT / "presets" / "brine.yaml"))["systems"]["brine"]
    assert card.sites(salt) == 152
    residues = {**salt, "reference": {**salt["reference"], "sites": []}}
    assert card.sites(residues) == 152
    elsewhere = {**salt["reference"], "force_field": ["amber14/spce.xml"]}
    assert card.edge({**salt, "reference": elsewhere}) == np.inf


def test_what_does_not_fit_is_told_before_anything_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    wrong = [{"name": "A", "atoms": "name C7"}]
    with pytest.raises(DynmatchError, match=r"hexane.reference.sites\[0\].atoms: 'name C7' select"):
        complete(hexane_config(sites=wrong))
    numbered = [{"name": "A", "atoms": [0, 1]}]
    with pytest.raises(DynmatchError, match=r"sites\[0\].atoms: numbers of atoms would name"):
        complete(hexane_config(sites=numbered))
    with pytest.raises(DynmatchError, match=r"reference.cutoff is 1.3 nm, beyond half the box"):
        complete(hexane_config(cutoff=1.3))


@pytest.mark.workflow
def test_a_liquid_becomes_sites(tmp_path):
    """Hexane cut short, from its files to sites, by the rules of the workflow: masses of united
    atoms, bonds between the sites of a molecule, and velocities that have the temperature."""
    short = {
        "molecules": [{"file": "examples/alkanes/hexane.pdb", "count": 27}],
        "cutoff": 0.85,
        "replicas": 2,
        "equilibration": 20.0,
        "length": 10.0,
        "segment": 5.0,
    }
    config = {"systems": {"hexane": {"reference": short, "potential": {"cutoff": 0.85}}}}
    config["systems"]["hexane"] |= {
        "training": {"lags": [1.0], "smoothing": 0.0, "gle": {"lags": [0.1]}},
        "validation": {"length": 20.0},
        "observables": {
            "structure_spacing": 0.2,
            "msd_length": 9.0,
            "van_hove_lags": [1.0, 5.0],
        },
    }
    overlay = tmp_path / "short.yaml"
    overlay.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "results/hexane/hexane/projected.h5"]
    command += ["--cores", "2", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path]
    command += ["--configfile", ROOT / "config.yaml", ROOT / "presets" / "hexane.yaml", overlay]
    call = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert call.returncode == 0, call.stdout[-5000:]
    sites = read(tmp_path / "results" / "hexane" / "hexane" / "projected.h5")
    assert sites.topology.names == ("A", "B", "A") * 27
    assert sites.topology.residue_names == ("HEX",) * 27
    assert sites.topology.bonds[:3] == ((0, 1), (1, 2), (3, 4))
    np.testing.assert_allclose(sites.masses[:3], [29.062, 28.054, 29.062], rtol=1e-6)
    assert [len(each.positions) for each in sites.replicas()] == [500, 500]
    assert sites.forces is None
    assert np.linalg.norm(np.diff(sites.positions, axis=0), axis=-1)[:498].max() < 0.1
    bonds = sites.positions[:, 1::3] - sites.positions[:, 0::3]
    lengths = np.linalg.norm(bonds, axis=-1)
    assert 0.2 < lengths.min() and lengths.max() < 0.32
    centre = (sites.velocities * sites.masses[:, None]).reshape(-1, 27, 3, 3).sum(2) / 86.178
    kinetic = 86.178 * np.mean(centre**2) / BOLTZMANN
    assert kinetic == pytest.approx(300.0, rel=0.1)
