"""Every engine of the registry: it writes files of a model, or says why it does not."""

import importlib
from dataclasses import replace

import jax
import numpy as np
import pytest

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.errors import DynmatchError
from dynmatch.export.registry import ENGINES
from dynmatch.model import Model
from dynmatch.potentials.bonded import Kind
from dynmatch.potentials.sum import Potential
from dynmatch.sites.topology import SiteTopology
from tests.helpers.exported import model_of
from tests.helpers.fluids import bonded_sites, fluid, unbonded
from tests.helpers.games import lattice_trajectory
from tests.helpers.toys import table

POTENTIALS = {
    "linear": (fluid(degree=1), unbonded("W" * 27)),
    "network": (fluid(degree=1, hidden=(2,)), unbonded("W" * 27)),
    "two types": (fluid(("A", "B"), degree=1), unbonded("ABA" * 9)),
    "bonds": (
        fluid(("A", "B"), degree=1, kinds=(Kind(("A", "B"), (0.4, 500.0)),)),
        bonded_sites("AB" + "A" * 25, [(0, 1)]),
    ),
}
"""What there can be in a potential, and sites that it is of."""
REASONS = "several types|bonds|no equation of motion|of the terms"


def start(topology: SiteTopology):
    return replace(lattice_trajectory(2), topology=topology)


def model_with(potential: Potential, dynamics: str) -> Model:
    return model_of(dynamics, potential, potential.initialise(jax.random.key(0)))


@pytest.mark.parametrize("potential", POTENTIALS)
@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_writes_a_model_or_says_why_not(tmp_path, engine, dynamics, potential):
    """Files that are there, inside its folder; where it refuses, there are none."""
    form, topology = POTENTIALS[potential]
    write = importlib.import_module(ENGINES[engine]).write
    folder = tmp_path / engine
    try:
        files = write(folder, model_with(form, dynamics), start(topology), "a test")
    except DynmatchError as refusal:
        assert any(reason in str(refusal) for reason in REASONS.split("|")), refusal
        assert not list(folder.rglob("*"))
        return
    assert files
    assert set(files) == {file for file in folder.rglob("*") if file.is_file()}
    assert all(file.stat().st_size > 0 for file in files)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_runs_a_linear_model_of_one_type(tmp_path, engine):
    """With some dynamics at least: it would be no engine else."""
    form, topology = POTENTIALS["linear"]
    write = importlib.import_module(ENGINES[engine]).write
    assert write(tmp_path, model_with(form, "bd"), start(topology), "a test")


def test_a_new_engine(tmp_path):
    """`tests.helpers.toys.table`: our own energies of two sites, or what the model has too much."""
    whole, topology = POTENTIALS["linear"]
    with pytest.raises(DynmatchError, match=r"pair\.txt holds pairs of one type.*three_body"):
        table.write(tmp_path, model_with(whole, "bd"), start(topology), "a test")
    pairs = Potential(whole.terms[:1], whole.names, whole.thermal_energy)
    (file,) = table.write(tmp_path, model_with(pairs, "bd"), start(topology), "a test")
    r, energy = np.loadtxt(file).T
    expected = whole.thermal_energy * whole.terms[0].curve(0).core_energy(r)
    seen = r > 0.25
    np.testing.assert_allclose(energy[seen], expected[seen], atol=0.02 * whole.thermal_energy)
