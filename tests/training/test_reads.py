"""What jobs read of the `training` section is what `training.reads` gives them."""

from dataclasses import replace

import numpy as np
import pytest

from dynmatch.settings import BaselineSettings, BrownianSettings, Settings, TrainingSettings
from dynmatch.training import baselines, reads
from tests.helpers.models import grid, soft_model

STARTED = TrainingSettings().section()


class Watched:
    """Settings that note, by dotted key, what is read of them."""

    def __init__(self, settings: Settings, seen: set[str], above: str = ""):
        self._settings, self._seen, self._above = settings, seen, above

    def __getattr__(self, name):
        value = getattr(self._settings, name)
        if isinstance(value, Settings):
            self._seen.discard(self._above.rstrip("."))
            return Watched(value, self._seen, f"{self._above}{name}.")
        self._seen.add(f"{self._above}{name}")
        return value


@pytest.mark.parametrize("method", ["fm", "rem"])
def test_a_baseline_reads_the_keys_that_it_is_given(monkeypatch, method):
    model, start = soft_model("ld"), grid(4, 1.25)
    monkeypatch.setattr(baselines, "start_potential", lambda *_: (model.potential, None))
    monkeypatch.setattr(baselines, "windows_of", lambda *_: None)
    found = {}
    for room in (baselines.force_matching, baselines.relative_entropy):
        monkeypatch.setattr(room, "minimise", lambda *_, **settings: found.update(settings))
    seen: set[str] = set()
    watched = Watched(TrainingSettings(), seen)
    fitted, *_ = baselines.fit(method, start, 300.0, None, watched, BaselineSettings(), 1, "")
    for dynamics in baselines.DYNAMICS:
        baselines.with_dynamics(fitted, dynamics, np.ones(1), np.ones(1), 1.0, watched)
    assert "updates" in found
    given = TrainingSettings.of(reads.of_baseline(STARTED, method))
    given_whole = {"start"} & set(reads.BASELINES[method])
    assert {key for key in seen if key.split(".")[0] not in given_whole} <= set(
        reads.BASELINES[method]
    )
    assert given == TrainingSettings()


def test_the_updates_of_force_matching_are_its_own():
    section = BaselineSettings().section()
    assert reads.of_fitting(section, "fm").keys() == {"updates", "rates", "thermostat"}
    for method in ("rem", "static"):
        assert reads.of_fitting(section, method) == {"thermostat": section["thermostat"]}


@pytest.mark.parametrize("method", ["fm", "rem", "static"])
def test_the_other_dynamics_reach_no_baseline(method):
    changed = replace(TrainingSettings(), bd=BrownianSettings(windows=3), threads=7)
    changed = changed.section() | {"gle": {"updates": 1}}
    assert reads.of_baseline(changed, method) == reads.of_baseline(STARTED, method)


def test_static_reads_the_whole_training():
    given = reads.of_baseline(STARTED | {"updates": 7}, "static")
    assert given["updates"] == 7
    assert given["ld"] == STARTED["ld"]
    assert given["bd"] == {"time_step": STARTED["bd"]["time_step"]}


def test_a_training_reads_its_own_dynamics_alone():
    given = reads.of_model(STARTED, "ld")
    assert set(STARTED) - set(given) == {"bd", "gle", "threads"}
