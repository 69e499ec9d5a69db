"""What a model is apart from its files: identifiable combinations, and the sites it stands for."""

import jax
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.potentials.bonded import Kind
from tests.helpers.fluids import bonded_sites, fluid
from tests.helpers.models import model_of, soft_model


def test_identifiable_combinations_do_not_change_under_the_gauge():
    """gamma -> c gamma, alpha -> c alpha, m -> c^2 m is the same dynamics."""
    potential = fluid()
    model = model_of(potential, {}, "ld", friction=400.0, mass=20.0, alpha=1.25)
    scaled = model_of(potential, {}, "ld", friction=800.0, mass=80.0, alpha=2.5)
    for name, value in model.identifiable().items():
        np.testing.assert_allclose(scaled.identifiable()[name], value, rtol=1e-12)
    assert model.identifiable()["d0_nm2_per_ps"] == pytest.approx(
        [8.31446261815324e-3 * 300 * 1.25 / 400]
    )


def test_sites_without_a_topology_are_of_the_only_type():
    topology = soft_model().sites(5)
    assert topology.names == ("W",) * 5
    assert topology.bonds == ()


@pytest.mark.parametrize("names", [("A",), ("A", "B")])
def test_sites_of_several_types_or_with_bonds_need_a_topology(names):
    """Taken for unbonded sites of the first type, they would have other energies."""
    potential = fluid(names, kinds=(Kind((names[0], names[-1]), (0.3, 900.0)),))
    model = model_of(potential, potential.initialise(jax.random.key(1)))
    with pytest.raises(
        DynmatchError, match=r"the 4 here are, .* has to be given as their topology"
    ):
        model.sites(4)


def test_columns_of_the_mean_site_are_means_over_the_sites_given():
    potential = fluid(("A", "B"))
    model = model_of(potential, {}, "bd", friction=(100.0, 400.0), alpha=2.0)
    columns = model.mean_columns(bonded_sites("ABB", []))
    assert columns["gamma_amu_per_ps"] == pytest.approx(300.0)
    assert columns["gamma_over_alpha"] == pytest.approx(150.0)
    assert model.columns(1)["d0_nm2_per_ps"] == pytest.approx(model.kT * 2 / 400)
    assert "mass_amu" not in columns
