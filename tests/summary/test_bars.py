"""Verdicts: what is within the bars, what is outside, and what a reader is told."""

import numpy as np
import pytest

from dynmatch.summary.bars import BARS, with_verdicts
from dynmatch.summary.rows import Row, reference_rows, summary
from dynmatch.summary.verdicts import lines, verdicts
from tests.summary.test_summary import fitted

ANALYSES = {"water": "liquid", "dipeptide": "molecule"}


def rows(d=1.0, msd=0.02, rdf=0.006, status="ok", more=()) -> list[Row]:
    return [
        Row("diffusion", "ratio", d, 0.02, 0.01, 0.0),
        Row("msd", "log_rmse 10-200 ps", msd, 0.01, 0.01, 0.05),
        Row("rdf", "mae", rdf, 0.001, 0.004, 0.3),
        Row("training", "converged", float(status == "ok"), status=status),
        *more,
    ]


def judged(of_models: dict, system: str = "water"):
    keyed = {(system, model, seed): found for (model, seed), found in of_models.items()}
    reference = {(system, "reference", ""): reference_rows(fitted(1, 0), fitted(1, 0))}
    return with_verdicts(summary(reference | keyed), ANALYSES)


def verdict(found: list[Row], model: str = "bd", system: str = "water") -> str:
    table = judged({(model, "1"): found}, system)
    (row,) = table[table.observable == "model"].itertuples()
    assert row.value == (row.status == "ok")
    return row.status


def test_a_model_within_its_bars_is_ok():
    assert verdict(rows()) == "ok"
    assert verdict(rows(d=1.029, msd=0.03, rdf=0.008)) == "ok"


def test_what_is_outside_is_named_with_its_number():
    assert verdict(rows(d=0.45)) == "outside: D 0.45"
    assert verdict(rows(d=1.05)) == "outside: D 1.05"
    assert verdict(rows(rdf=0.0081)) == "outside: RDF 0.0081"
    assert verdict(rows(d=0.45, msd=0.8)) == "outside: D 0.45, MSD 10-200 ps 0.8"


def test_how_a_training_ended_comes_first():
    cut_off = rows(d=0.45, status="cut off at 12 of 120 updates")
    assert verdict(cut_off) == "cut off at 12 of 120 updates; outside: D 0.45"


def test_a_number_that_is_not_there_is_not_met():
    nothing = Row("msd", "log_rmse 10-200 ps", np.nan, status="the reference's error exceeds 5%")
    found = [row for row in rows() if row.observable != "msd"] + [nothing]
    assert verdict(found) == "MSD 10-200 ps not known: the reference's error exceeds 5%"


def test_a_model_with_memory_has_bars_of_its_own():
    memoryless = [Row("vacf", "mae", 0.016, 0.001), Row("vacf", "largest", 0.06, 0.001)]
    assert verdict(rows(more=memoryless), "ld") == "ok"
    assert verdict(rows(more=memoryless), "gle") == "outside: VACF 0.016, VACF, largest 0.06"


def test_a_molecule_has_other_bars():
    found = [
        Row("fes", "jsd", 0.002),
        Row("population_difference", "C5", -0.06, 0.01),
        Row("diffusion", "ratio", 0.8, 0.01),
        Row("timescale_ratio", "psi", 0.69, 0.02),
    ]
    assert verdict(found, "ld", "dipeptide") == "outside: C5 -0.06, time of psi 0.69"


def test_of_several_seeds_the_mean_meets_the_bar_and_the_worst_one_twice_as_wide():
    def statuses(*ratios):
        table = judged({("bd", str(seed)): rows(d=d) for seed, d in enumerate(ratios, 1)})
        found = table[table.observable == "model"].set_index("seed").status
        return found["mean"], [found[str(seed)] for seed in range(1, len(ratios) + 1)]

    assert statuses(0.96, 1.0, 1.04) == ("ok", ["ok"] * 3)
    mean, single = statuses(0.93, 1.0, 1.07)
    assert mean == "seed 1 outside: D 0.93; seed 3 outside: D 1.07"
    assert single == ["outside: D 0.93", "ok", "outside: D 1.07"]
    assert statuses(1.04, 1.05, 1.03)[0] == "outside: D 1.04"


def test_the_terminal_has_a_line_for_each_model(tmp_path):
    table = judged(
        {
            ("bd", "1"): rows(),
            ("bd", "2"): rows(status="cut off at 12 of 120 updates"),
            ("ld", "1"): rows(d=1.1, more=[Row("vacf", "mae", 0.016, 0.001, 0.0009, 0.05)]),
        }
    )
    path = tmp_path / "summary.csv"
    table.to_csv(path, index=False, float_format="%.6g")
    assert verdicts(path) == {
        ("water", "bd"): "seed 2: cut off at 12 of 120 updates",
        ("water", "ld"): "outside: D 1.1",
    }
    bd, ld = lines(path)
    assert bd.startswith("water, bd: D ratio 1 ± 0.02 (floor 0.01), MSD 0.02 ± 0.01 (floor 0.01)")
    assert bd.endswith(": seed 2: cut off at 12 of 120 updates")
    assert "VACF 0.016 ± 0.001 (floor 0.0009): outside: D 1.1" in ld


@pytest.mark.parametrize("analysis", BARS)
def test_every_bar_is_wider_than_nothing(analysis):
    for bar in BARS[analysis]:
        assert bar.half_width(0.01) > 0
        assert bar.half_width(np.nan) >= bar.within
