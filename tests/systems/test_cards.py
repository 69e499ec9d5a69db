"""What each kind of system says of itself, on configs as they are shipped."""

import numpy as np
import pytest

from dynmatch.dynamics.kernel import Kernel
from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.errors import DynmatchError
from dynmatch.systems.base import System
from dynmatch.systems.registry import SYSTEMS, card_of
from dynmatch.units import BOLTZMANN
from dynmatch.workflow.config import complete
from tests.helpers.rule_files import ROOT
from tests.workflow.test_config import load

SHIPPED = {
    "water": (load(), "water"),
    "known": (load(ROOT / "presets" / "known.yaml"), "known_bd"),
    "molecule": (load(ROOT / "presets" / "dipeptide.yaml"), "dipeptide"),
    "liquid": (load(ROOT / "presets" / "hexane.yaml"), "hexane"),
    "trajectory": (load(ROOT / "examples" / "methanol" / "methanol.yaml"), "methanol"),
}


def shipped(kind: str) -> dict:
    config, name = SHIPPED[kind]
    return complete(config)["systems"][name]


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(DynmatchError, match=r"kind 'watr' .* unknown; there are water, liquid, kn"):
        card_of("watr")


@pytest.mark.parametrize("kind", SYSTEMS)
def test_a_card_tells_all_that_the_workflow_asks(kind):
    card, system = card_of(kind), shipped(kind)
    assert isinstance(card, System)
    assert list(card.conflicts(system)) == []
    assert set(card.dynamics(system, ["ld"])) <= set(DYNAMICS)
    assert card.sites(system) is None or card.sites(system) >= 4
    assert card.edge(system) > 1
    assert card.mapping(system)


def test_the_box_of_water_follows_from_its_molar_mass():
    volume = 64 * 18.01528 / 6.02214076e23 / 0.997 * 1e21  # g/mol, 1/mol, g/cm^3 -> nm^3
    edge = card_of("water").edge(shipped("water"))
    assert edge == pytest.approx(volume ** (1 / 3), rel=1e-6)


@pytest.mark.parametrize("kind", ["trajectory", "molecule"])
def test_the_record_of_a_model_has_the_sites_of_its_config(kind):
    """And not that they are whole molecules, at their centres of mass."""
    system = shipped(kind)
    assert card_of(kind).mapping(system) == system["reference"]["sites"]
    assert "mass" in system["reference"]["sites"][0]


def test_without_sites_a_trajectory_has_one_for_each_residue():
    system = shipped("trajectory")
    system["reference"]["sites"] = []
    assert card_of("trajectory").mapping(system) == "one site per residue, at its centre of mass"


def test_the_dynamics_of_a_known_fluid_are_its_own():
    card, system = card_of("known"), shipped("known")
    assert card.dynamics(system, ["ld"]) == ["bd"]
    assert card_of("water").dynamics(shipped("water"), ["ld"]) == ["ld"]


def test_the_truth_is_known_of_known_fluids_alone():
    """D0 = kB T / gamma, and a mass where motion has inertia."""
    system = shipped("known")
    truth = card_of("known").truth(system)
    assert truth == {"d0_nm2_per_ps": BOLTZMANN * 300 / 300, "gamma_over_alpha": 300.0}
    langevin = system["reference"] | {"dynamics": "ld", "mass": 25.0}
    assert card_of("known").truth(system | {"reference": langevin}) == truth | {
        "mass_over_alpha2": 25.0
    }
    for kind in ("water", "liquid", "molecule", "trajectory"):
        assert card_of(kind).truth(shipped(kind)) is None


def test_a_known_memory_has_the_friction_that_is_its_integral():
    system = load(ROOT / "presets" / "known.yaml")["systems"]["known_gle"]
    truth = card_of("known").truth(system)
    friction = Kernel.of_columns(truth).spectrum(np.zeros(1))[0] * truth["mass_amu"]
    assert friction == pytest.approx(truth["gamma_over_alpha"], rel=1e-12)
    assert friction > 2 * truth["white_friction_amu_per_ps"]
