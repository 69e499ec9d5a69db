"""Baselines: what is put on afterwards is what its name says."""

import numpy as np
import pytest

from dynmatch.training.baselines import with_dynamics
from tests.simulation.test_simulation import soft_model


@pytest.mark.parametrize(
    ("dynamics", "kind", "gamma", "time_step"),
    [
        ("ld_thermostat", "ld", 18.0 * 1.5, None),
        ("ld_einstein", "ld", 1200.0, None),
        ("bd_einstein", "bd", 1200.0, 0.004),
    ],
)
def test_dynamics_put_on_a_potential(dynamics, kind, gamma, time_step):
    model = soft_model()
    found = with_dynamics(model, dynamics, 18.0, 1200.0, 1.5, 0.004)
    assert (found.kind, found.gamma, found.alpha, found.mass) == (kind, gamma, 1.0, 18.0)
    assert found.time_step == (time_step or model.time_step)
    assert found.form == model.form
    assert all(
        np.array_equal(a, b)
        for a, b in zip(found.parameters["radial"], model.parameters["radial"], strict=True)
    )
