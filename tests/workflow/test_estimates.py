"""Estimated times beside measured ones: docs/results, and the comments of the presets."""

import pytest
import yaml

from dynmatch.cli.check import laid_over
from dynmatch.systems.base import baselines_of
from dynmatch.workflow import estimates
from dynmatch.workflow.config import complete, models_of, seeds_of
from dynmatch.workflow.estimates import Work
from tests.helpers.rule_files import ROOT


def work_of(preset: str = "") -> list[Work]:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    if preset:
        config = laid_over(config, yaml.safe_load((ROOT / f"presets/{preset}.yaml").read_text()))
    config, work = complete(config), []
    for name, system in config["systems"].items():
        models = [*models_of(config, name), *baselines_of(system)]
        runs = [(model, seed) for model in models for seed in seeds_of(config, name, model)]
        work += estimates.work_of(name, system, runs)
    return work


@pytest.mark.parametrize(
    ("preset", "stage", "measured"),
    [
        ("", None, 22.8),
        ("", "reference", 16.3),
        ("demo", None, 2.9),
        ("demo", "reference", 1.2),
        ("whole-trajectory", "training", 13.5),
        ("whole-trajectory", None, 30.0),
    ],
)
def test_minutes_on_two_cores_are_within_a_factor_of_two(preset, stage, measured):
    stages = estimates.minutes(work_of(preset), 2, 1.0)
    found = stages[stage] if stage else sum(stages.values())
    assert measured / 2 < found < 2 * measured


def test_jobs_share_the_cores_and_none_takes_more_than_it_can_use():
    work = [
        Work("training", "", 60.0),
        Work("training", "", 180.0),
        Work("reference", "", 120.0, 2),
    ]
    assert estimates.minutes(work, 1, 1.0) == {"reference": 2.0, "training": 4.0}
    assert estimates.minutes(work, 2, 1.0) == {"reference": 1.0, "training": 3.0}
    assert estimates.minutes(work, 8, 2.0) == {"reference": 2.0, "training": 6.0}


def test_the_line_names_each_stage_and_what_is_not_known():
    work = [Work("reference", "", 60.0 * 60 * 5), Work("figures", "", 30.0)]
    line = estimates.told(work, 1, 1.0, ["mine"])
    assert "1 core, " in line
    assert "reference 5.0 h, figures 30 s; 5.0 h in all" in line
    assert "Not known: mine" in line


def test_nothing_is_said_where_nothing_is_left():
    assert estimates.told([], 2, 1.0) == ""


def test_nothing_is_said_of_trajectories_that_were_not_read():
    assert estimates.work_of("mine", {"kind": "trajectory", "reference": {}}, [("ld", 1)]) == []
