"""Models on disk come back as they were, and damaged or hostile files are refused."""

import hashlib

import jax
import numpy as np
import pytest
import yaml

from dynmatch.errors import DynmatchError
from dynmatch.model_file import load, save
from dynmatch.potentials.bonded import Kind
from tests.helpers.fluids import bonded_sites, fluid, random_parameters, unbonded
from tests.helpers.models import model_of

WATER = unbonded("W" * 8)
MOLECULES = bonded_sites("ABA", [(0, 1)])


@pytest.fixture
def model():
    potential = fluid(cores=0.26, basis=40, channels=2, hidden=(8,))
    parameters = potential.initialise(jax.random.PRNGKey(3))
    return model_of(potential, parameters, "ld", 0.01, friction=400.0, mass=20.0, alpha=1.25)


@pytest.fixture
def files(tmp_path, model):
    path, arrays = tmp_path / "model.yaml", tmp_path / "model.npz"
    save(path, arrays, model, WATER, {"system": "water", "seed": 1})
    return path, arrays


def same(one, other) -> bool:
    """Whether two trees of arrays have the same structure and numbers."""
    alike = jax.tree.structure(one) == jax.tree.structure(other)
    return alike and jax.tree.all(jax.tree.map(np.array_equal, one, other))


def test_round_trip(files, model):
    again = load(files[0])
    assert again.potential == model.potential
    assert again.equation == model.equation
    assert again.temperature == model.temperature
    assert same(again.values, model.values)
    assert same(again.parameters, model.parameters)


def test_the_file_can_be_read_by_a_person(files, model):
    """Numbers of the only type stand at the top, with their units."""
    document = yaml.safe_load(files[0].read_text())
    assert document["system"] == "water"
    assert document["dynamics"] == "ld"
    assert document["gamma_amu_per_ps"] == 400.0
    assert document["alpha"] == 1.25
    assert document["mass_amu"] == 20.0
    assert document["gamma_over_alpha"] == pytest.approx(320.0)
    assert document["d0_nm2_per_ps"] == pytest.approx(model.kT / 320.0)
    assert [term["kind"] for term in document["potential"]["terms"]] == ["pair", "three_body"]


def test_a_model_of_several_types_names_the_values_of_each_and_of_the_mean_site(tmp_path):
    """The mean is over the sites of the reference, two A and one B."""
    kinds = (Kind(("A", "B"), (0.3, 700.0)),)
    potential = fluid(("A", "B"), (0.25, 0.23, 0.21), hidden=(3,), kinds=kinds)
    model = model_of(
        potential,
        random_parameters(potential, 1),
        "ld",
        friction=(90.0, 40.0),
        mass=(15.0, 17.0),
        alpha=1.2,
    )
    save(tmp_path / "m.yaml", tmp_path / "m.npz", model, MOLECULES, {})
    again = load(tmp_path / "m.yaml")
    assert again.potential == model.potential
    assert same(again.values, model.values)
    assert jax.tree.structure(again.parameters) == jax.tree.structure(model.parameters)
    document = yaml.safe_load((tmp_path / "m.yaml").read_text())
    assert document["types"]["B"]["mass_over_alpha2"] == pytest.approx(17 / 1.44)
    assert document["gamma_amu_per_ps"] == pytest.approx((2 * 90 + 40) / 3)
    assert document["mass_amu"] == pytest.approx((2 * 15 + 17) / 3)
    # of the mean friction, and not the mean of D0
    assert document["d0_nm2_per_ps"] == pytest.approx(model.kT * 1.2 / (220 / 3))


def test_a_model_knows_no_number_of_sites(files):
    """Of those it was trained on, nothing but means is in its files."""
    document = yaml.safe_load(files[0].read_text())
    assert "types" not in document["potential"]
    assert "sites" not in files[0].read_text().replace("mapping", "")


def test_another_format_is_named(files):
    path, _ = files
    document = yaml.safe_load(path.read_text())
    del document["content_sha256"]
    path.write_text(yaml.safe_dump(document | {"format_version": 3}))
    with pytest.raises(DynmatchError, match=r"model\.yaml: format_version is 3, and .* up to 2"):
        load(path)


@pytest.mark.parametrize("change", [{"dynamics": "md"}, {"potential": {"terms": [{"kind": "x"}]}}])
def test_unknown_dynamics_and_terms_are_named(files, change):
    path, _ = files
    document = yaml.safe_load(path.read_text())
    del document["content_sha256"]
    path.write_text(yaml.safe_dump(document | change))
    with pytest.raises(DynmatchError, match=r"'(md|x)' .*unknown; there are"):
        load(path)


def test_changed_arrays_are_named(files):
    path, arrays = files
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(DynmatchError, match=r"model\.npz: checksum"):
        load(path)


def test_changed_yaml_is_named(files):
    path, _ = files
    changed = path.read_text().replace("gamma_amu_per_ps: 400.0", "gamma_amu_per_ps: 410.0")
    assert changed != path.read_text()
    path.write_text(changed)
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
    with pytest.raises(DynmatchError, match=r"model\.npz: evil is of object"):
        load(path)
