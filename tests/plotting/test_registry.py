"""Every figure of the registry: what it names is there, and which systems it is drawn of."""

import pytest

from dynmatch.observables.registry import ANALYSES, OBSERVABLES
from dynmatch.plotting.captions import caption
from dynmatch.plotting.registry import (
    FIGURES,
    MEMORY,
    SUMMARY,
    TABLES,
    TRUTH,
    TYPES,
    columns_of,
    figures_of,
)
from dynmatch.runtime.names import named
from tests.systems.test_cards import shipped

DRAWN_OF_ALL = {"diagnostics", "msd", "comparison"}


@pytest.mark.parametrize(("name", "card"), FIGURES.items(), ids=FIGURES)
def test_a_card_names_a_function_and_tables_that_there_are(name, card):
    assert callable(named(card.function))
    assert set(card.tables) <= {*OBSERVABLES, *TABLES, SUMMARY}
    for table in set(card.tables) - {SUMMARY}:
        assert columns_of(table)


def test_figures_go_by_what_a_system_has():
    liquid, molecule = ANALYSES["liquid"], ANALYSES["molecule"]
    plain = figures_of(liquid, has=())
    assert {"overview", "rdf", "dynamics", "van_hove", *DRAWN_OF_ALL} <= set(plain)
    needing = {TRUTH: "recovery", TYPES: "sites", MEMORY: "memory_kernel"}
    for feature, figure in needing.items():
        assert set(figures_of(liquid, has={feature})) == {*plain, figure}
    torsions = {"ramachandran", "torsions", "torsion_kinetics"}
    assert set(figures_of(molecule, has=())) == torsions | DRAWN_OF_ALL
    assert {*plain, *torsions, *needing.values()} == set(FIGURES)


def test_captions_tell_settings_and_samples():
    water, dipeptide = shipped("water"), shipped("molecule")
    text = caption("van_hove", water, "liquid", 3)
    assert text.startswith("Self part of the van Hove function at lags of 1.0, 5.0, 20.0 ps.")
    assert "Samples: of 3 reference replica(s) of 1400.0 ps the last one" in text
    assert "trained on; 2 of 2000.0 ps" in text
    assert "3 seed(s)" in text
    assert "within 0.35 nm" in caption("adf", water, "liquid", 1)
    assert "Motion of all sites together is taken out." in caption("msd", water, "liquid", 1)
    assert "It is that of the centre of mass." in caption("msd", dipeptide, "molecule", 1)
    assert "a lag of 10.0 ps" in caption("torsion_kinetics", dipeptide, "molecule", 1)
    own = caption("rdf", shipped("trajectory"), "liquid", 1)
    assert "Samples: of 1 reference replica(s) the last one, or the last third" in own
    assert "Samples" not in caption("diagnostics", water, "liquid", 1)


def test_the_van_hove_function_is_promised_no_distinct_part():
    """There is none in its table."""
    assert "distinct" not in FIGURES["van_hove"].caption
    assert OBSERVABLES["van_hove"].keys == ("lag_ps", "r_nm")
