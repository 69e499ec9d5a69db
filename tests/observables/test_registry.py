"""Every observable of the registry: what it names is there, and makes the table that it says."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from dynmatch.observables.analysis import observe
from dynmatch.observables.observed import Observed
from dynmatch.observables.registry import ANALYSES, OBSERVABLES
from dynmatch.runtime.names import named
from dynmatch.settings import MoleculeObservableSettings
from dynmatch.sites.topology import SiteTopology
from dynmatch.sites.trajectory import SiteTrajectory
from dynmatch.summary.rows import Compared, rows_of
from tests.observables.test_observables import SETTINGS, brownian, liquid


def velocities(trajectory: SiteTrajectory) -> SiteTrajectory:
    drawn = np.random.default_rng(5).normal(size=trajectory.positions.shape)
    return replace(trajectory, velocities=drawn)


def chain() -> SiteTrajectory:
    """Five sites in a row, whose two torsions and centre diffuse: 2 replicas of 200 ps."""
    topology = SiteTopology(tuple("ABCDE"), (0,) * 5, ("R",), tuple(pairwise(range(5))))
    centre = brownian(7, 400, 1, 0.5, 0.002, 2)
    rng = np.random.default_rng(8)
    turns = np.cumsum(rng.normal(0, 0.5, (800, 2)), 0)
    shape = np.zeros((800, 5, 3))
    shape[:, 0] = [-0.07, 0.12, 0.0]
    shape[:, 2] = [0.15, 0.0, 0.0]
    for site, angle in ((3, turns[:, 0]), (4, turns.sum(1))):
        arm = np.stack([np.full(800, 0.07), 0.12 * np.cos(angle), 0.12 * np.sin(angle)], -1)
        shape[:, site] = shape[:, site - 1] + arm
    positions = (centre.positions + shape).astype(np.float32)
    return SiteTrajectory(positions, centre.time, np.full(5, 12.0), topology, np.full(3, 100.0))


RUNS = {
    "liquid": (velocities(liquid(2)), SETTINGS),
    "molecule": (
        chain(),
        MoleculeObservableSettings(correlation_length=4.0, timescale_lag=1.0, msd_length=20.0),
    ),
}


@pytest.fixture(scope="module")
def observed() -> dict[str, tuple]:
    return {name: observe(name, run, 300.0, settings) for name, (run, settings) in RUNS.items()}


@pytest.mark.parametrize("analysis", ANALYSES)
def test_the_settings_of_an_analysis_are_those_it_is_run_with(analysis):
    assert isinstance(RUNS[analysis][1], named(ANALYSES[analysis].settings))


@pytest.mark.parametrize(
    ("analysis", "name"),
    [(analysis, name) for analysis, card in ANALYSES.items() for name in card.observables],
)
def test_a_table_has_the_columns_of_its_card(analysis, name, observed):
    table = observed[analysis][0][name]
    card = ANALYSES[analysis].observables[name]
    assert set(card.names) <= set(table)
    if card.keys:
        assert len(table.drop_duplicates(list(card.keys))) == len(table)
    assert set(OBSERVABLES[name].names) == set(card.names)


@pytest.mark.parametrize("analysis", ANALYSES)
def test_a_model_like_its_reference_is_perfect_in_every_row(analysis, observed):
    """Ratios of 1, and no error of any other kind; D itself is a value."""
    tables, samples = observed[analysis]
    settings = {
        "potential.cutoff": 0.6,
        "observables.timescale_lag": 1.0,
    }
    diffusion = tables["diffusion"]
    compared = Compared(samples, samples, samples, (diffusion, diffusion, diffusion), settings)
    rows = rows_of(analysis, compared)
    observables = {observable for observable, *_ in rows}
    assert len(rows) >= len(observables) >= 3
    for row in rows:
        if (row.observable, row.metric) == ("diffusion", "value"):
            continue
        ratio = "ratio" in row.observable or row.metric == "ratio"
        if np.isnan(row.value):
            assert row.status
        else:
            assert row.value == pytest.approx(1.0 if ratio else 0.0, abs=1e-12), row
            assert row.floor >= 0


def test_what_observables_share_is_computed_once():
    calls = []

    def costly(observed):
        calls.append(observed)
        return len(calls)

    one = Observed(liquid(1), 300.0, SETTINGS)
    assert [one.once(costly), one.once(costly)] == [1, 1]
    assert Observed(liquid(1), 300.0, SETTINGS).once(costly) == 2
