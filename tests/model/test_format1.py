"""Models that dynmatch 0.1 wrote are what they were.

format1/ holds files of its smoke run of water (linear, both dynamics), of methanol (two types,
bonds, a network) and of alanine dipeptide (internal coordinates), each with the energy and the
forces that dynmatch 0.1 computed for one configuration.
"""

from pathlib import Path

import numpy as np
import openmm
import pytest
import yaml

from dynmatch.api import TrainedModel, load_model
from dynmatch.errors import DynmatchError
from dynmatch.export import openmm_system
from dynmatch.model import load
from dynmatch.model_file import save
from dynmatch.simulation import run
from tests.helpers.fluids import unbonded
from tests.helpers.models import still

pytestmark = pytest.mark.usefixtures("compilation_cache")

FOLDER = Path(__file__).parent / "format1"
NAMES = sorted(path.name for path in FOLDER.iterdir())
"""Folders of examples."""


class Old:
    """One of the examples, and what was known of it."""

    def __init__(self, name: str):
        self.path = FOLDER / name / "model.yaml"
        self.document = yaml.safe_load(self.path.read_text())
        with np.load(FOLDER / name / "reference.npz") as kept:
            self.positions, self.box = kept["positions"], kept["box"]
            self.energy, self.forces = float(kept["energy"]), kept["forces"]


@pytest.fixture(scope="module", params=NAMES)
def old(request) -> Old:
    return Old(request.param)


def assert_the_same(found, old: Old) -> None:
    """Energy and forces to the rounding of single precision, over some hundred terms."""
    energy, forces = found
    assert energy == pytest.approx(old.energy, rel=1e-5)
    np.testing.assert_allclose(forces, old.forces, atol=1e-5 * np.abs(old.forces).max())


def test_there_is_one_of_every_kind():
    assert NAMES == ["dipeptide", "methanol", "water", "water_bd"]


def test_energy_and_forces_are_those_of_the_version_that_wrote_them(old):
    assert_the_same(load_model(old.path).evaluate(old.positions, old.box), old)


def test_dynamics_is_as_it_was(old):
    model = load(old.path)
    assert model.equation.name == old.document["dynamics"]
    assert model.time_step == old.document["time_step_ps"]
    assert model.temperature == old.document["temperature_k"]
    types = list(old.document.get("types", {"only": old.document}).values())
    assert len(types) == len(model.potential.names)
    for number, columns in enumerate(types):
        written = {"alpha": old.document["alpha"]} | columns
        for column, value in model.columns(number).items():
            assert value == pytest.approx(written[column], rel=1e-12)


def test_they_move(old, monkeypatch):
    monkeypatch.setattr(run, "FRAMES_PER_CHUNK", 4)
    model = load(old.path)
    topology = model.sites(len(old.positions))
    spacing = 2 * model.time_step
    start = still(old.positions, topology, old.box)
    moved = run.simulate(model, start, length=3 * spacing, frame_spacing=spacing)
    assert np.isfinite(moved.positions).all()
    way = np.abs(moved.positions[-1] - moved.positions[0]).max()
    assert 1e-3 < way < 0.2


def test_sites_of_any_name_are_those_of_an_only_type():
    """A file of format 1 does not say what they are called."""
    old = Old("water")
    found = load_model(old.path).evaluate(old.positions, old.box, unbonded("Q" * 64))
    assert_the_same(found, old)


@pytest.mark.parametrize("name", ["methanol", "dipeptide", "water"])
def test_scripts_that_were_exported_with_them_find_what_they_call(name):
    """`openmm_system.system(model, box, number of sites)` of `dynmatch.model.load`."""
    old = Old(name)
    system = openmm_system.system(load(old.path), old.box.tolist(), len(old.positions))
    platform = openmm.Platform.getPlatform("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(old.positions.astype(float))
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True)._value
    if name == "water":
        # as formulas of OpenMM, without our table of the pair force
        assert state.getPotentialEnergy()._value == pytest.approx(old.energy, rel=1e-3)
        error = np.sqrt(np.mean((forces - old.forces) ** 2))
        assert error < 1e-3 * np.sqrt(np.mean(old.forces**2))
    else:
        assert_the_same((state.getPotentialEnergy()._value, forces), old)


def test_methanol_of_format_1_is_of_any_number_of_molecules():
    """One of its molecules alone, and eight of it far apart."""
    model = load(Old("methanol").path)
    one = model.topology.chosen([0, 1])
    assert one.bonds == ((0, 1),)
    trained, box = TrainedModel(model), np.full(3, 4.0)
    x = np.array([[0.1, 0.1, 0.1], [0.1, 0.2, 0.25]])
    energy = trained.energy(x, box, one)
    corners = 2.0 * np.stack(np.unravel_index(np.arange(8), (2,) * 3), 1)
    apart = (corners[:, None] + x).reshape(-1, 3)
    assert trained.energy(apart, box, one.repeated(8)) == pytest.approx(8 * energy, rel=1e-5)
    with pytest.raises(DynmatchError, match="has to be given as their topology"):
        trained.energy(x, box)


def test_written_again_it_is_the_same_model_in_the_new_format(old, tmp_path):
    model = load(old.path)
    topology = model.sites(len(old.positions))
    save(tmp_path / "m.yaml", tmp_path / "m.npz", model, topology, {})
    assert yaml.safe_load((tmp_path / "m.yaml").read_text())["format_version"] == 2
    again = load_model(tmp_path / "m.yaml")
    assert_the_same(again.evaluate(old.positions, old.box, topology), old)
    for name, value in model.values.items():
        np.testing.assert_array_equal(again.parameters.values[name], value)
