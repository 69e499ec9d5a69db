"""Models on disk come back as they were, and damaged or hostile files are refused."""

import hashlib

import jax
import numpy as np
import pytest
import yaml

from dynmatch.errors import DynmatchError
from dynmatch.model import Model, load, save
from dynmatch.potentials import potential


@pytest.fixture
def model():
    form = potential.PotentialForm(0.6, 0.45, 0.26, 2.5, hidden=(8,))
    parameters = potential.initialise(form, jax.random.PRNGKey(3))
    return Model("ld", form, parameters, 400.0, 1.25, 20.0, 300.0, 0.01)


@pytest.fixture
def files(tmp_path, model):
    path, arrays = tmp_path / "model.yaml", tmp_path / "model.npz"
    save(path, arrays, model, {"system": "water", "seed": 1})
    return path, arrays


def test_round_trip(files, model):
    again = load(files[0])
    assert again.form == model.form
    assert (again.gamma, again.alpha, again.mass) == (400.0, 1.25, 20.0)
    assert jax.tree.all(jax.tree.map(np.array_equal, model.parameters, again.parameters))


def test_identifiable_combinations_do_not_change_under_the_gauge(model):
    """gamma -> c gamma, alpha -> c alpha, m -> c^2 m is the same dynamics."""
    scaled = Model("ld", model.form, {}, 800.0, 2.5, 80.0, 300.0, 0.01)
    for name, value in model.identifiable().items():
        assert scaled.identifiable()[name] == pytest.approx(value, rel=1e-12)
    assert model.identifiable()["d0_nm2_per_ps"] == pytest.approx(
        8.31446261815324e-3 * 300 * 1.25 / 400
    )


def test_changed_arrays_are_named(files):
    path, arrays = files
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(DynmatchError, match=r"model\.npz: checksum"):
        load(path)


def test_changed_yaml_is_named(files):
    path, _ = files
    path.write_text(path.read_text().replace("gamma_amu_per_ps: 400.0", "gamma_amu_per_ps: 410.0"))
    with pytest.raises(DynmatchError, match=r"model\.yaml: checksum.*content_sha256"):
        load(path)


def test_truncated_yaml_is_named(files):
    path, _ = files
    path.write_text(path.read_text()[:40])
    with pytest.raises(DynmatchError, match=r"model\.yaml"):
        load(path)


def test_nothing_is_executed_on_loading(files, tmp_path):
    path, _ = files
    trace = tmp_path / "executed"
    path.write_text(f"!!python/object/apply:os.mkdir ['{trace}']\n")
    with pytest.raises(DynmatchError):
        load(path)
    assert not trace.exists()


def test_pickled_arrays_are_refused(files):
    path, arrays = files
    np.savez(arrays, evil=np.array([{"a": 1}], dtype=object))
    document = yaml.safe_load(path.read_text())
    del document["content_sha256"]
    document["arrays_sha256"] = hashlib.sha256(arrays.read_bytes()).hexdigest()
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(DynmatchError, match="not a readable model"):
        load(path)
