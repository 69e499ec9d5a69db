"""A new observable with a figure and a row of the summary: modules, and a card in two registries.

Its modules are `tests.helpers.toys.coordination` and `coordination_rows`; nothing else knows them.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from dynmatch.observables import files
from dynmatch.observables.analysis import observe
from dynmatch.observables.registry import LIQUID, OBSERVABLES, Observable
from dynmatch.plotting.captions import caption
from dynmatch.plotting.figures import render
from dynmatch.plotting.registry import FIGURES, Figure, figures_of
from dynmatch.plotting.tables import Results, collect
from dynmatch.summary.rows import Compared, rows_of
from tests.observables.test_observables import BOX, SETTINGS, ideal_gas
from tests.systems.test_cards import shipped

HOME = "tests.helpers.toys.coordination"


@pytest.fixture
def registered(monkeypatch):
    card = Observable(
        ("neighbours",),
        "probability",
        "error",
        f"{HOME}.observe_coordination",
        samples=f"{HOME}.samples_of_coordination",
        rows=f"{HOME}_rows.coordination_rows",
        labels=("neighbours $n$", "$P(n)$"),
    )
    figure = Figure(
        "dynmatch.plotting.structure.profile",
        ("coordination",),
        "Number of neighbours within {observables[shell_cutoff]} nm.",
    )
    monkeypatch.setitem(LIQUID.observables, "coordination", card)
    monkeypatch.setitem(OBSERVABLES, "coordination", card)
    monkeypatch.setitem(FIGURES, "coordination", figure)


def gas(seed: int):
    """40 sites in the box, of one replica."""
    return replace(ideal_gas(seed, frames=400), velocities=None)


def test_it_is_observed_written_drawn_and_compared(registered, tmp_path):
    """In an ideal gas, the others are in the shell with the probability of its volume."""
    reference, training, model = (
        observe("liquid", gas(seed), 300.0, SETTINGS) for seed in (31, 33, 32)
    )
    table = reference[0]["coordination"]
    expected = 39 * 4 / 3 * np.pi * SETTINGS.shell_cutoff**3 / BOX.prod()
    assert table.neighbours @ table.probability == pytest.approx(expected, rel=0.02)

    paths = []
    runs = {"reference": reference, "reference/training_part": training, "bd/seed-1": model}
    for folder, (tables, samples) in runs.items():
        own = tmp_path / "results" / folder / "observables"
        own.mkdir(parents=True)
        names = {name: own / f"{name}.csv" for name in tables} | {"samples": own / "samples.npz"}
        files.write(names, tables, samples)
        paths.append(names["coordination"])
    results = Results({"coordination": collect("coordination", paths)}, (1.0,), 300.0, 0.6)
    assert "coordination" in figures_of(LIQUID, has=())
    render("coordination", results, tmp_path / "figure.pdf", tmp_path / "figure.png")
    assert imread(tmp_path / "figure.png").std() > 0.05
    text = caption("coordination", shipped("water"), "liquid", 1)
    assert text.startswith("Number of neighbours within 0.35 nm.")

    diffusion = pd.DataFrame({"d_nm2_per_ps": [1.0], "error_nm2_per_ps": [0.0]})
    compared = Compared(
        model[1], reference[1], training[1], (diffusion,) * 3, {"potential.cutoff": 0.6}
    )
    (found,) = (row for row in rows_of("liquid", compared) if row.observable == "coordination")
    assert abs(found.value) < 5 * found.error < 0.2 * expected
    assert found.error / 2 < found.floor < 5 * found.error
