"""Several devices give what one gives."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.helpers.rule_files import ROOT


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What some_devices.py writes with one and with two devices."""
    folder = tmp_path_factory.mktemp("devices")
    paths = [str(ROOT), str(ROOT / "scripts")]
    for devices in ("1", "2"):
        subprocess.run(
            [sys.executable, "-m", "tests.helpers.some_devices", devices, folder / devices],
            check=True,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        )
    return [dict(np.load(folder / f"{devices}.npz")) for devices in ("1", "2")]


def test_training_and_simulation_on_two_devices_are_those_on_one(results):
    """Two updates and 0.1 ps: to 1e-4 relative to the largest value of each array."""
    one, two = results
    assert one.pop("devices") == 1
    assert two.pop("devices") == 2
    assert one.keys() == two.keys()
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-4 * np.abs(values).max())
