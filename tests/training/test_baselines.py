"""Baselines: what is put on afterwards is what its name says."""

import numpy as np
import pytest

from dynmatch.settings import BrownianSettings, LangevinSettings, TrainingSettings
from dynmatch.training.baselines import DYNAMICS, with_dynamics
from tests.helpers.models import soft_model

SETTINGS = TrainingSettings(
    bd=BrownianSettings(time_step=0.004), ld=LangevinSettings(time_step=0.008)
)
MASS, EINSTEIN = np.array([18.0]), np.array([1200.0])


@pytest.mark.parametrize(
    ("dynamics", "kind", "gamma", "time_step"),
    [
        ("ld_thermostat", "ld", 18.0 * 1.5, 0.008),
        ("ld_einstein", "ld", 1200.0, 0.008),
        ("bd_einstein", "bd", 1200.0, 0.004),
    ],
)
def test_dynamics_put_on_a_potential(dynamics, kind, gamma, time_step):
    model = soft_model()
    found = with_dynamics(model, dynamics, MASS, EINSTEIN, 1.5, SETTINGS)
    assert (found.equation.name, found.time_step) == (kind, time_step)
    assert found.values["gamma"] == pytest.approx(gamma)
    assert found.values["alpha"] == 1.0
    assert found.potential == model.potential
    assert found.parameters is model.parameters


def test_every_name_has_been_tested():
    assert DYNAMICS.keys() == {"ld_thermostat", "ld_einstein", "bd_einstein"}
