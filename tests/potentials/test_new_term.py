"""A new term of the potential: a module, an entry in the registry, and a potential that has it.

Its module is `tests.helpers.toys.soft`; nothing else knows of it. Its contract is tested where the
recipe is, in tests/docs/test_extending.py.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dynmatch import model_file
from dynmatch.potentials.registry import TERMS
from dynmatch.settings import PotentialSettings
from tests.helpers.games import KT, lattice_trajectory
from tests.helpers.models import model_of
from tests.helpers.toys import soft, soft_start

pytestmark = pytest.mark.usefixtures("quick_compilation")

SETTINGS = PotentialSettings(cutoff=0.6, pair_basis=6, hidden=(), degree=1)


@pytest.fixture
def started(monkeypatch):
    """The potential with the term that a training starts from, and its parameters."""
    monkeypatch.setitem(TERMS, "soft", "tests.helpers.toys.soft")
    return soft_start.start(lattice_trajectory(30), KT, SETTINGS)


def test_two_sites_repel_each_other_as_far_as_it_reaches():
    """U = a (1 - r/c)^2, and a force of 2 a/c (1 - r/c) on each."""
    form, box = soft.Form(cutoff=0.5, strength=20.0), jnp.full(3, 2.0)
    topology = lattice_trajectory(1).topology.chosen([0, 1])
    for r, energy, force in ((0.1, 20 * 0.8**2, 80 * 0.8), (0.6, 0.0, 0.0)):
        # across the boundary of the box
        x = jnp.array([[0.0, 0, 0], [2.0 - r, 0, 0]])
        assert float(form.energy(None, x, box, topology, None)) == pytest.approx(energy, abs=1e-4)
        found = np.asarray(form.force(None, x, box, topology, None))
        np.testing.assert_allclose(found[:, 0], [force, -force], atol=1e-3)


def test_it_adds_to_the_other_terms(started):
    potential, parameters = started
    assert [term.kind for term in potential.terms] == ["pair", "three_body", "soft"]
    sites = lattice_trajectory(1)
    x, box = jnp.asarray(sites.positions[0]), jnp.asarray(sites.box, jnp.float32)
    tables = potential.tabulate(parameters)
    parts = [
        term.energy(table, x, box, sites.topology, None)
        for term, table in zip(potential.terms, tables, strict=True)
    ]
    assert parts[-1] > 1.0
    whole = potential.energy(tables, x, box, sites.topology)
    assert float(whole) == pytest.approx(float(sum(parts)), rel=1e-6)
    slope = jax.grad(lambda x: potential.energy(tables, x, box, sites.topology))(x)
    forces = np.asarray(potential.force(tables, x, box, sites.topology))
    np.testing.assert_allclose(forces, -slope, atol=1e-3 * np.abs(forces).max())


def test_a_model_with_it_is_read_as_it_was_written(started, tmp_path):
    model = model_of(*started)
    path, topology = tmp_path / "model.yaml", lattice_trajectory(1).topology
    model_file.save(path, tmp_path / "model.npz", model, topology, {})
    assert model_file.load(path).potential == model.potential
