"""What every kind of term must do, for each of the registry.

A new term needs an example here, and no other test of these.
"""

import importlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from dynmatch.errors import DynmatchError
from dynmatch.potentials import registry
from dynmatch.potentials.base import Term
from dynmatch.potentials.bonded import Kind, Spline
from dynmatch.potentials.sum import Potential, of_record
from dynmatch.settings import ForceMatchingRates, Rates
from dynmatch.sites.topology import SiteTopology
from dynmatch.training.classifiers.registry import CLASSIFIERS
from tests.helpers import molecules
from tests.helpers.fluids import (
    bonded_sites,
    jittered_lattice,
    lists_within,
    random_parameters,
    unbonded,
)

pytestmark = pytest.mark.usefixtures("double_precision", "quick_compilation")

EDGE = 1.25
BOX = np.full(3, EDGE)
HUGE_BOX = np.full(3, 1000.0)


@dataclass(frozen=True)
class Example:
    """A term, and sites of a few kinds that it acts on, in a box of `EDGE`.

    positions  (N, 3) nm, every force different from zero
    exchanged  sites (N,) in an order that makes no difference, or None where there is none
    several    whether it may act on copies of these sites
    """

    term: Term
    topology: SiteTopology
    positions: np.ndarray
    exchanged: np.ndarray | None = None
    several: bool = True


def _lattice() -> np.ndarray:
    return jittered_lattice(np.random.default_rng(2), EDGE, 0.08)


def _pair() -> Example:
    form = registry.form_of("pair")(("A", "B"), 0.6, 2.5, 12, (0.25, 0.23, 0.21))
    order = np.arange(27)
    order[[0, 2, 1, 5]] = 2, 0, 5, 1
    return Example(form, unbonded("AB" * 13 + "A"), _lattice(), order)


def _three_body() -> Example:
    form = registry.form_of("three_body")(("A", "B"), 0.55, 2.5, 1, 2, (4,))
    order = np.arange(27)
    order[[0, 2, 1, 5]] = 2, 0, 5, 1
    return Example(form, unbonded("AB" * 13 + "A"), _lattice(), order)


def _bonded() -> Example:
    form = registry.form_of("bonded")(
        (
            Kind(("A", "B"), (0.2, 900.0), Spline(0.15, 0.25, 5, 2.5)),
            Kind(("A", "B", "A"), (-0.3, 12.0), Spline(-0.9, 0.5, 6, 2.5)),
            Kind(("B", "A", "B"), (-0.2, 15.0)),
            Kind(
                ("A", "B", "A", "B"),
                (1.0, -2, 3, 4, 5, 6, -7, 8),
                Spline(-np.pi, np.pi, 6, 2.5, periodic=True),
            ),
        )
    )
    bonds = [(first + k, first + k + 1) for first in (0, 4) for k in range(3)]
    one = 0.2 * np.array([[0, 0, 0], [1, 0.5, 0], [2, 0, 0.3], [2.5, 1, 0.5]])
    jitter = np.random.default_rng(3).normal(0, 0.03, (8, 3))
    positions = np.concatenate([one, one + 0.4]) + jitter
    return Example(form, bonded_sites("ABABABAB", bonds), positions, np.roll(np.arange(8), 4))


def _torsional() -> Example:
    topology = bonded_sites(molecules.NAMES, molecules.BACKBONE)
    positions = molecules.molecule(np.random.default_rng(2))
    return Example(molecules.FORM, topology, positions, several=False)


EXAMPLES = {
    "pair": _pair(),
    "three_body": _three_body(),
    "bonded": _bonded(),
    "torsional": _torsional(),
}
WITH_NEIGHBOURS = [kind for kind, example in EXAMPLES.items() if example.term.reach]
WITH_EQUALS = [kind for kind, example in EXAMPLES.items() if example.exchanged is not None]


class Tried:
    """The example of one kind of term, with random parameters."""

    def __init__(self, kind: str):
        assert kind in EXAMPLES, f"the term {kind} needs an example in EXAMPLES"
        example = EXAMPLES[kind]
        self.term, self.topology, self.positions = example.term, example.topology, example.positions
        self.exchanged, self.several = example.exchanged, example.several
        self.potential = Potential((self.term,), self.topology.type_names, 2.5)
        self.parameters = random_parameters(self.potential, 1)
        self.tables = self.term.tabulate(self.parameters)
        self._energy, self._force = (
            jax.jit(lambda x, box, near, f=f: f(self.tables, x, box, self.topology, near))
            for f in (self.term.energy, self.term.force)
        )

    def energy(self, positions, box=BOX, neighbours=None) -> float:
        return float(self._energy(jnp.asarray(positions), box, neighbours))

    def force(self, positions, box=BOX, neighbours=None) -> np.ndarray:
        return np.asarray(self._force(jnp.asarray(positions), box, neighbours))


@pytest.fixture(scope="module", params=registry.TERMS)
def example(request, double_precision) -> Tried:
    return Tried(request.param)


def test_the_registry_has_the_class_under_its_own_name(example):
    kind = example.term.kind
    assert registry.form_of(kind) is type(example.term)
    assert importlib.import_module(registry.TERMS[kind]).Form is type(example.term)


def test_an_unknown_kind_is_refused_with_those_that_there_are():
    with pytest.raises(DynmatchError, match=r"'quadruple'.*pair.*three_body"):
        registry.form_of("quadruple")


def test_it_is_frozen_and_equal_forms_are_one_to_jax(example):
    again = type(example.term).of_record(example.term.record())
    assert again == example.term
    assert hash(again) == hash(example.term)
    assert again is not example.term
    field = next(iter(vars(example.term)))
    with pytest.raises(AttributeError):
        setattr(example.term, field, None)


def test_it_survives_being_written(example):
    text = yaml.safe_dump(example.potential.record())
    assert of_record(yaml.safe_load(text)) == example.potential


def test_its_groups_are_those_of_its_parameters_and_each_has_a_learning_rate(example):
    assert tuple(example.term.initialise(jax.random.key(0))) == example.term.groups
    for group in example.term.groups:
        assert hasattr(Rates(), group)
        assert hasattr(ForceMatchingRates(), group)


def test_what_it_starts_from_is_finite_and_the_same_for_the_same_key(example):
    one, other = (example.term.initialise(jax.random.key(0)) for _ in range(2))
    assert jax.tree.all(jax.tree.map(np.array_equal, one, other))
    tables = example.term.tabulate(one)
    x = jnp.asarray(example.positions)
    for function in (example.term.energy, example.term.force):
        found = jax.jit(function, static_argnums=3)(tables, x, BOX, example.topology, None)
        assert np.isfinite(found).all()


def test_its_classifier_is_there(example):
    assert example.term.sees in CLASSIFIERS


def test_force_is_the_negative_finite_difference_of_the_energy(example):
    """Central differences of step h = 1e-5 nm; the kinks of tables limit them."""
    h, x = 1e-5, example.positions
    shifts = h * np.eye(x.size).reshape(-1, *x.shape)

    @jax.jit
    def along(shifts):
        def shifted(d):
            return example.term.energy(example.tables, x + d, BOX, example.topology, None)

        return jax.lax.map(shifted, shifts, batch_size=9)

    difference = (along(shifts) - along(-shifts)) / (2 * h)
    forces = example.force(x)
    assert np.abs(forces).min() > 0
    assert np.std(forces) > 1.0
    np.testing.assert_allclose(
        forces, -difference.reshape(x.shape), atol=2e-5 * np.max(np.abs(forces))
    )


def test_moving_and_turning_all_sites_changes_nothing(example):
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    x = example.positions
    moved = (x - 0.5) @ turn.T + [3.0, -2.0, 40.0]
    expected = example.energy(x, HUGE_BOX)
    assert example.energy(moved, HUGE_BOX) == pytest.approx(expected, rel=1e-6)
    forces = example.force(x, HUGE_BOX)
    np.testing.assert_allclose(
        example.force(moved, HUGE_BOX), forces @ turn.T, atol=1e-6 * np.abs(forces).max()
    )
    np.testing.assert_allclose(forces.sum(0), 0.0, atol=1e-6 * np.abs(forces).max())


def test_nearest_images_are_what_counts(example):
    images = np.random.default_rng(3).integers(-3, 4, example.positions.shape)
    moved = example.positions + images * BOX
    assert example.energy(moved) == pytest.approx(example.energy(example.positions), rel=1e-6)
    forces = example.force(example.positions)
    np.testing.assert_allclose(example.force(moved), forces, atol=1e-6 * np.abs(forces).max())


@pytest.mark.parametrize("example", WITH_EQUALS, indirect=True)
def test_equal_sites_may_be_exchanged(example):
    order = example.exchanged
    assert (order != np.arange(len(order))).any()
    x = example.positions
    assert example.energy(x[order]) == pytest.approx(example.energy(x), rel=1e-10)
    forces = example.force(x)
    np.testing.assert_allclose(
        example.force(x[order]), forces[order], atol=1e-9 * np.abs(forces).max()
    )


@pytest.mark.parametrize("example", WITH_NEIGHBOURS, indirect=True)
def test_lists_of_neighbours_give_what_all_pairs_give(example):
    x = example.positions
    near = lists_within(x, BOX, example.term.reach, 2)
    assert near.shape[0] < len(x) + 1
    assert example.energy(x, BOX, near) == pytest.approx(example.energy(x), rel=1e-12)
    forces = example.force(x)
    np.testing.assert_allclose(
        example.force(x, BOX, near), forces, atol=1e-9 * np.abs(forces).max()
    )


@pytest.mark.parametrize("example", WITH_NEIGHBOURS, indirect=True)
def test_beyond_its_reach_it_does_not_act(example):
    """Two halves of the sites of a term with neighbours, brought apart."""
    half = len(example.positions) // 2
    parts = [list(range(half)), list(range(half, len(example.positions)))]
    apart = example.positions.copy()
    apart[half:] += 50.0
    of_parts = sum(
        float(
            example.term.energy(
                example.tables,
                jnp.asarray(example.positions[part]),
                HUGE_BOX,
                example.topology.chosen(part),
                None,
            )
        )
        for part in parts
    )
    assert example.energy(apart, HUGE_BOX) == pytest.approx(of_parts, rel=1e-10)


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_out_of_reach_have_as_many_times_the_energy(example, copies):
    """What is learned does not know the number of sites."""
    if not example.several and copies > 1:
        with pytest.raises(DynmatchError, match=f"of {example.topology.n_sites} sites"):
            example.term.require(example.topology.repeated(copies))
        return
    many = example.topology.repeated(copies)
    example.term.require(many)
    shifts = 50.0 * np.arange(copies)[:, None, None]
    x = (example.positions + shifts).reshape(-1, 3)
    energy, forces = (
        jax.jit(function, static_argnums=3)(example.tables, jnp.asarray(x), HUGE_BOX, many, None)
        for function in (example.term.energy, example.term.force)
    )
    one = example.energy(example.positions, HUGE_BOX)
    assert float(energy) == pytest.approx(copies * one, rel=1e-6)
    alone = example.force(example.positions, HUGE_BOX)
    np.testing.assert_allclose(forces, np.tile(alone, (copies, 1)), atol=1e-6 * np.abs(alone).max())


def test_tables_are_differentiable_with_respect_to_the_parameters(example):
    """Along a random direction of each group, central differences."""
    x = jnp.asarray(example.positions)

    @jax.jit
    def value(p):
        return example.term.energy(example.term.tabulate(p), x, BOX, example.topology, None)

    gradient = jax.grad(value)(example.parameters)
    for group in example.term.groups:
        direction = jax.tree.map(jnp.zeros_like, example.parameters)
        direction[group] = random_parameters(example.potential, 8)[group]

        def along(h, direction=direction):
            return value(jax.tree.map(lambda p, d: p + h * d, example.parameters, direction))

        slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)))
        assert abs(slope) > 1e-3
        assert slope == pytest.approx(float(along(1e-4) - along(-1e-4)) / 2e-4, rel=1e-5)


def test_roughness_is_a_penalty_with_a_gradient(example):
    assert example.term.roughness(example.parameters) >= 0
    gradient = jax.grad(lambda p: jnp.asarray(example.term.roughness(p), float))(example.parameters)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


def test_sites_of_unknown_types_are_refused_by_name(example):
    """By the term, or by the potential that it is in."""
    names = [*example.topology.names[:-1], "X"]
    strange = SiteTopology(
        tuple(names),
        example.topology.residues,
        example.topology.residue_names,
        example.topology.bonds,
    )
    example.potential.require(example.topology)
    with pytest.raises(DynmatchError, match="X"):
        example.potential.require(strange)
