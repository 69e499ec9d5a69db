"""The graph of bonds, and what follows from it: kinds, molecules, exclusions, copies, files."""

import json

import mdtraj
import numpy as np
import pytest

from dynmatch.errors import DynmatchError
from dynmatch.sites.topology import ANY, SiteTopology, independent_sites, paths
from tests.helpers.fluids import bonded_sites, unbonded

BRANCHED = [(0, 1), (1, 2), (1, 3), (3, 4)]
"""0-1-2 with 3-4 on 1."""
CHAIN = [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_every_chain_is_found_once():
    assert paths(BRANCHED, 2) == BRANCHED
    assert paths(BRANCHED, 3) == [(0, 1, 2), (0, 1, 3), (1, 3, 4), (2, 1, 3)]
    assert paths(BRANCHED, 4) == [(0, 1, 3, 4), (2, 1, 3, 4)]
    assert paths([], 2) == []


def test_sites_beyond_three_bonds_interact():
    topology = bonded_sites("ABABA", CHAIN)
    assert {names: each.tolist() for names, each in topology.nonbonded_pairs.items()} == {
        ("A", "A"): [[0, 4]],
        ("A", "B"): [],
        ("B", "B"): [],
    }
    linked = [[i, j] for i in range(5) for j in range(5) if 0 < abs(i - j) <= 3]
    assert topology.linked.tolist() == linked
    columns = [sorted(j for j in column if j >= 0) for column in topology.excluded.T.tolist()]
    assert columns == [[j for i, j in linked if i == site] for site in range(5)]


def test_without_bonds_all_pairs_interact():
    topology = unbonded("ABA")
    assert topology.excluded.shape == (0, 3)
    assert topology.linked.shape == (0, 2)
    assert topology.bonded_kinds == {}
    assert {names: each.tolist() for names, each in topology.nonbonded_pairs.items()} == {
        ("A", "A"): [[0, 2]],
        ("A", "B"): [[0, 1], [1, 2]],
        ("B", "B"): [],
    }


def test_a_ring_excludes_each_site_once():
    """Of six sites in a ring, the one opposite is three bonds away by either way."""
    ring = bonded_sites("A" * 6, [(k, (k + 1) % 6) for k in range(6)])
    assert ring.excluded.shape == (5, 6)
    assert len(ring.linked) == 30


def test_molecules_are_what_bonds_connect():
    assert [list(m) for m in bonded_sites("AAAA", [(0, 2)]).molecules] == [[0, 2], [1], [3]]


def test_types_are_sorted_names_or_an_index_into_those_of_a_model():
    topology = unbonded("BAB")
    assert topology.type_names == ("A", "B")
    assert topology.types.tolist() == [1, 0, 1]
    assert topology.types_among(("X", "B", "A")).tolist() == [1, 2, 1]
    assert unbonded("WW").types_among((ANY,)).tolist() == [0, 0]
    with pytest.raises(DynmatchError, match=r"sites called A are .* knows B, C"):
        topology.types_among(("B", "C"))
    # of a file that does not say what its only type is called, two are not one
    with pytest.raises(DynmatchError, match=r"sites called A, B"):
        topology.types_among((ANY,))


def test_kinds_of_bonded_terms_are_read_the_way_that_comes_first():
    kinds = bonded_sites("CBAB", [(0, 1), (1, 2), (2, 3)]).bonded_kinds
    assert {along: sites.tolist() for along, sites in kinds.items()} == {
        ("B", "C"): [[1, 0]],
        ("A", "B"): [[2, 1], [2, 3]],
        ("A", "B", "C"): [[2, 1, 0]],
        ("B", "A", "B"): [[1, 2, 3]],
        ("B", "A", "B", "C"): [[3, 2, 1, 0]],
    }


def test_equal_content_is_an_equal_topology():
    """As JAX wants it of static arguments."""
    one, same = (bonded_sites("ABABA", CHAIN) for _ in range(2))
    assert one == same
    assert hash(one) == hash(same)
    for other in (
        bonded_sites("ABABB", CHAIN),
        bonded_sites("ABABA", CHAIN[1:]),
        unbonded("ABABA"),
    ):
        assert one != other


def test_copies_follow_each_other_and_can_be_chosen_again():
    one = SiteTopology(tuple("ABA"), (0, 0, 1), ("M", "S"), ((0, 1),))
    three = one.repeated(3)
    assert three.names == tuple("ABAABAABA")
    assert three.residues == (0, 0, 1, 2, 2, 3, 4, 4, 5)
    assert three.residue_names == ("M", "S") * 3
    assert three.bonds == ((0, 1), (3, 4), (6, 7))
    assert three.chosen(range(3, 6)) == one
    turned = three.chosen([8, 1, 0])
    assert turned == SiteTopology(tuple("ABA"), (0, 1, 1), ("S", "M"), ((2, 1),))


def test_it_survives_json_and_mdtraj():
    one = SiteTopology(tuple("ABA"), (0, 0, 1), ("M", "S"), ((0, 1),))
    assert SiteTopology.of_record(json.loads(json.dumps(one.record()))) == one
    made = one.to_mdtraj()
    assert isinstance(made, mdtraj.Topology)
    assert [atom.name for atom in made.atoms] == ["A", "B", "A"]
    assert SiteTopology.from_mdtraj(made) == one


def test_independent_sites_are_molecules_of_one_site():
    topology = independent_sites("WW", "SOL")
    assert topology == SiteTopology(("W", "W"), (0, 1), ("SOL", "SOL"))
    assert np.concatenate(topology.molecules).tolist() == [0, 1]
