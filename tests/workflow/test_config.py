"""Every mistake in a config is refused before anything runs, in words that name the key."""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from dynmatch.errors import DynmatchError
from dynmatch.workflow.config import check_writable, complete, require_unique_keys
from dynmatch.workflow.devices import check_gpu
from dynmatch.workflow.schema import kinds_of, resolve, schema
from tests.helpers.rule_files import ROOT

PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


def load(*overlays: Path) -> dict:
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    for overlay in overlays:
        update_config(config, yaml.safe_load(overlay.read_text()))
    return config


def changed(config: dict, path: tuple, value) -> dict:
    """A copy of `config` with `value` at the key path."""
    copied = copy.deepcopy(config)
    node = copied
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return copied


def message(config: dict) -> str:
    with pytest.raises(DynmatchError) as raised:
        complete(config)
    return str(raised.value)


@pytest.mark.parametrize(
    "preset", [None, *PRESETS], ids=lambda path: path.stem if path else "laptop"
)
def test_shipped_configs_are_accepted(preset):
    complete(load() if preset is None else load(preset))


def test_the_smallest_config_is_completed_and_stays_as_it_is():
    config = complete({"systems": {"box": {"kind": "water"}}})
    assert config["systems"]["box"]["training"]["rates"]["pair"] > 0
    assert complete(config) == config


OWN = {
    "kind": "trajectory",
    "reference": {
        "topology": "topology.pdb",
        "trajectories": ["run.xtc"],
        "frame_spacing": 0.1,
        "sites": [{"name": "A", "atoms": "name C"}, {"name": "B", "atoms": [0, 1]}],
    },
    "validation": {"frame_spacing": 0.1},
}
"""The smallest system of kind trajectory with two types of sites."""
OWN_MISTAKES = {
    "no frame spacing": (
        ("reference", "frame_spacing"),
        None,
        "own.reference.frame_spacing is empty; it must be a number",
    ),
    "no trajectory": (("reference", "trajectories"), [], "own.reference.trajectories is empty"),
    "empty selection": (
        ("reference", "sites", 0, "atoms"),
        "",
        "own.reference.sites[0].atoms is empty; it needs at least 1",
    ),
    "empty group": (
        ("reference", "sites", 1, "atoms"),
        [],
        "own.reference.sites[1].atoms is empty",
    ),
    "a group that is neither": (
        ("reference", "sites", 1, "atoms"),
        1.5,
        "own.reference.sites[1].atoms is 1.5; it must be text or a list",
    ),
    "name with a blank": (
        ("reference", "sites", 0, "name"),
        "CH 3",
        "own.reference.sites[0].name is the text 'CH 3'; it must be letters",
    ),
    "lag between two frames": (
        ("training",),
        {"lags": [0.25]},
        "own.training.lags[0] is 0.25 ps; it must be a multiple of reference.frame_spacing, 0.1 ps",
    ),
    "three-body cutoff beyond the pair cutoff": (
        ("potential",),
        {"cutoff": 0.5, "three_body_cutoff": 0.55},
        "own.potential.three_body_cutoff is 0.55 nm; it must be at most potential.cutoff",
    ),
    "one file twice": (
        ("reference", "trajectories"),
        ["run.xtc", "./run.xtc"],
        "own.reference.trajectories: run.xtc and ./run.xtc are one file",
    ),
    "a name that ends in a new line": (
        ("reference", "sites", 0, "name"),
        "CH3\n",
        "own.reference.sites[0].name is the text 'CH3\\n'; it must be letters",
    ),
    "two edges of a box": (
        ("reference", "edges"),
        [3.0, 3.0],
        "own.reference.edges needs three lengths, nm",
    ),
    "braces": (
        ("reference", "topology"),
        "of {seed}/top.pdb",
        "own.reference.topology: of {seed}/top.pdb has braces, which are wildcards to Snakemake",
    ),
    "too many files": (
        ("reference", "trajectories"),
        ["run-{1..1000}-{1..1000}.xtc"],
        "own.reference.trajectories: run-{1..1000}-{1..1000}.xtc: ranges of more than 100000",
    ),
    "control characters": (
        ("reference", "topology"),
        "a\0.pdb",
        "own.reference.topology: 'a\\x00.pdb' is no path: it has control characters",
    ),
    "no file fits": (
        ("reference", "trajectories"),
        ["nowhere/part-*.xtc"],
        "own.reference.trajectories: no file fits nowhere/part-*.xtc",
    ),
}


@pytest.mark.parametrize("link", [os.link, os.symlink], ids=["hard", "symbolic"])
def test_a_file_and_a_link_to_it_are_one(tmp_path, link):
    (tmp_path / "run.xtc").touch()
    link(tmp_path / "run.xtc", tmp_path / "again.xtc")
    files = [str(tmp_path / name) for name in ("run.xtc", "again.xtc")]
    system = changed(OWN, ("reference", "trajectories"), files)
    assert "again.xtc are one file" in message({"systems": {"own": system}})


@pytest.mark.parametrize(("path", "value", "expected"), OWN_MISTAKES.values(), ids=OWN_MISTAKES)
def test_a_mistake_about_a_trajectory_of_ones_own_is_named(path, value, expected):
    config = {"models": ["bd", "ld"], "systems": {"own": OWN}}
    complete(config)
    changed_one = changed(config, ("systems", "own", *path), value)
    assert message(changed_one).startswith(f"config: systems.{expected}")


def test_a_missing_frame_spacing_is_asked_for():
    reference = {k: v for k, v in OWN["reference"].items() if k != "frame_spacing"}
    text = message({"systems": {"own": OWN | {"reference": reference}}})
    assert text == (
        "config: systems.own.reference.frame_spacing is missing; give time between two frames of "
        "the trajectories, ps"
    )


def test_numbers_take_the_type_of_the_schema():
    config = changed(load(), ("systems", "water", "reference", "molecules"), 64.0)
    config = changed(config, ("systems", "water", "temperature"), 300)
    water = complete(config)["systems"]["water"]
    assert isinstance(water["reference"]["molecules"], int)
    assert isinstance(water["temperature"], float)


WATER = ("systems", "water")
MISTAKES = {
    "unknown key": (
        (*WATER, "reference", "time_stp"),
        0.002,
        "systems.water.reference.time_stp is unknown; did you mean time_step?",
    ),
    "missing key": (WATER, {"temperature": 300.0}, "systems.water.kind is missing; give "),
    "no system": (("systems",), {}, "systems is empty; it needs at least 1"),
    "empty section": ((*WATER, "training"), None, "systems.water.training is empty; it must be"),
    "wrong type": (
        (*WATER, "reference", "molecules"),
        "many",
        "systems.water.reference.molecules is the text 'many'; it must be a whole number",
    ),
    "YAML 1.1 number": (
        (*WATER, "temperature"),
        "3e2",
        "systems.water.temperature is the text '3e2'; it must be a number, written as 300.0",
    ),
    "not a number": (
        (*WATER, "reference", "length"),
        float("nan"),
        "systems.water.reference.length is nan; it must be a number",
    ),
    "negative time step": (
        (*WATER, "reference", "time_step"),
        -0.002,
        "systems.water.reference.time_step is -0.002; it must be at least 1e-05",
    ),
    "a seed that is another one to JAX": (
        ("seeds",),
        [1, 4294967297],
        "seeds[1] is 4294967297; it must be at most 2147483647",
    ),
    "the same of a baseline": (
        (*WATER, "baselines", "seeds"),
        [2**63],
        "systems.water.baselines.seeds[0] is 9223372036854775808; it must be at most 2147483647",
    ),
    "a seed too large for OpenMM": (
        (*WATER, "reference", "seed"),
        2**31,
        "systems.water.reference.seed is 2147483648; it must be at most 2147483647",
    ),
    "a run that ends in a new line": (("run",), "laptop\n", "run is the text 'laptop\\n'"),
    "unknown choice": (
        (*WATER, "reference", "water_model"),
        "spc/e",
        "systems.water.reference.water_model is the text 'spc/e'; it must be one of spce,",
    ),
    "name of a folder": (
        ("systems", "figures"),
        {"kind": "water"},
        "systems.figures cannot be the name of a system; take one any but figures, logs",
    ),
    "all-atom cutoff beyond half the box": (
        (*WATER, "reference", "cutoff"),
        0.9,
        "systems.water.reference.cutoff is 0.9 nm, beyond half the box; take at most 0.621 nm",
    ),
    "cutoff beyond half the box": (
        (*WATER, "potential", "cutoff"),
        0.7,
        "systems.water.potential.cutoff is 0.7 nm, beyond half the box; take at most 0.621 nm",
    ),
    "three-body cutoff beyond the pair cutoff": (
        (*WATER, "potential", "three_body_cutoff"),
        0.61,
        "systems.water.potential.three_body_cutoff is 0.61 nm; it must be at most potential.cutoff",
    ),
    "window longer than the trajectory": (
        (*WATER, "training", "lags"),
        [400.0, 301.0],
        "systems.water.training.lags and smoothing add up to a window of 702 ps, longer than a "
        "third of the reference; take shorter ones, or at least 2106 ps as reference.length",
    ),
    "lag of the MSD longer than the trajectory": (
        (*WATER, "observables", "msd_length"),
        2000.0,
        "systems.water.observables.msd_length is 2000 ps; it must be less than reference.length",
    ),
    "MSD too short for a diffusion constant": (
        (*WATER, "observables", "msd_length"),
        20.0,
        "systems.water.observables.msd_length is 20 ps; D is fitted up to a tenth of a replica, so "
        "that it must be at least 200 ps",
    ),
    "VACF shorter than a frame": (
        (*WATER, "observables", "vacf_length"),
        0.01,
        "systems.water.observables.vacf_length is 0.01 ps; it must be at least "
        "reference.frame_spacing, 0.02 ps",
    ),
    "lag of a few Brownian steps": (
        (*WATER, "training", "lags"),
        [0.05],
        "systems.water.training.lags[0] is 0.05 ps; it must be at least 20 times "
        "training.bd.time_step, 0.1 ps",
    ),
    "lag between two frames": (
        (*WATER, "training", "lags"),
        [5.0, 5.012],
        "systems.water.training.lags[1] is 5.012 ps; it must be a multiple of "
        "reference.frame_spacing, 0.02 ps (nearest: 5.02 ps)",
    ),
    "frame between two steps": (
        (*WATER, "reference", "frame_spacing"),
        0.021,
        "systems.water.reference.frame_spacing is 0.021 ps; it must be a multiple of "
        "reference.time_step",
    ),
    "segment between two frames": (
        (*WATER, "reference", "segment"),
        100.01,
        "systems.water.reference.segment is 100.01 ps; it must be a multiple of "
        "reference.frame_spacing",
    ),
    "structure between two frames": (
        (*WATER, "observables", "structure_spacing"),
        0.05,
        "systems.water.observables.structure_spacing is 0.05 ps; it must be a multiple of "
        "reference.frame_spacing",
    ),
}


def test_steps_of_dynamics_that_move_no_model_bound_nothing():
    """Lags of a few Brownian steps, and of no whole number of them, where none are made: for
    Langevin dynamics alone, and a fluid of known Langevin dynamics in whatever run."""
    config = changed(load(), (*WATER, "training", "lags"), [0.1])
    config = changed(config, (*WATER, "training", "bd", "time_step"), 0.007)
    complete(config | {"models": ["ld"]})
    with pytest.raises(DynmatchError, match=r"at least 20 times training\.bd\.time_step"):
        complete(config | {"models": ["ld", "bd"]})
    fluids = load(ROOT / "presets" / "known.yaml")
    complete(changed(fluids, ("systems", "known_ld", "training", "lags"), [0.05]))
    brownian = changed(fluids, ("systems", "known_bd", "training", "lags"), [0.05])
    with pytest.raises(DynmatchError, match=r"known_bd.* at least 20 times"):
        complete(brownian | {"models": ["ld"]})


def test_a_single_replica_has_a_third_of_it_to_measure_with():
    config = changed(load(), (*WATER, "reference", "replicas"), 1)
    assert message(changed(config, (*WATER, "observables", "van_hove_lags"), [470.0])).startswith(
        "config: systems.water.observables.msd_length is 1000 ps; it must be less than a third of "
        "reference.length, 466.667 ps"
    )


def test_lags_of_a_dynamics_of_its_own_take_the_place_of_the_common_ones():
    """They are counted in its steps and in frames, and bounded by the reference, where it is
    trained."""
    config = load()
    own = (*WATER, "training", "gle")
    assert message(changed(config, (*own, "lags"), [0.03, 0.1])).startswith(
        "config: systems.water.training.gle.lags[0] is 0.03 ps; it must be a multiple of "
        "reference.frame_spacing, 0.02 ps"
    )
    assert message(changed(config, (*own, "lags"), [600.0, 100.0])).startswith(
        "config: systems.water.training.gle.lags and smoothing add up to a window of 700 ps"
    )
    coarse = changed(config, (*own, "lags"), [0.03])
    complete(coarse | {"models": ["bd", "ld"]})
    # the common ones are nobody's, then
    alone = {"models": ["gle"]}
    unused = changed(config, (*WATER, "baselines", "methods"), [])
    complete(changed(unused, (*WATER, "training", "lags"), [0.03]) | alone)


def test_steps_of_a_baseline_that_is_moved_by_them_do():
    config = changed(load(), (*WATER, "training", "bd", "time_step"), 0.007) | {"models": ["ld"]}
    complete(config)
    baselines = {"methods": ["rem"], "dynamics": ["bd_einstein"]}
    with pytest.raises(DynmatchError, match=r"frame_spacing is 0\.02 ps.*training\.bd\.time_step"):
        complete(changed(config, (*WATER, "baselines"), baselines))


@pytest.mark.parametrize(("path", "value", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_what_would_be_right(path, value, expected):
    assert message(changed(load(), path, value)).startswith(f"config: {expected}")


def leaves(node: dict, path: tuple = ()):
    """Every key path of a completed config with its value: sections too."""
    for key, value in node.items():
        yield (*path, key), value
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


def may_be_null(path: tuple) -> bool:
    """Whether the schema admits null at this path of the default config."""
    whole = schema()
    node, below = whole, path
    if path[:2] == WATER:
        node, below = whole["$defs"]["water_system"], path[2:]
    for part in below:
        node = resolve(node["properties"][part], whole)
    return "null" in kinds_of(node)


def mutations():
    """The default config with one thing wrong: (key path as a person writes it, config)."""
    config = complete(load())
    for path, value in leaves(config):
        name = ".".join(path)
        if isinstance(value, dict):
            wrong = {f"{name}": [[], "text", 1]}
            if path != ("systems",):
                wrong[f"{name}.surplus"] = [0]
        elif isinstance(value, list):
            wrong = {name: ["text", 1.0, {}]}
        elif isinstance(value, str):
            wrong = {name: ["no such/thing", 1, None]}
        else:
            wrong = {name: [-1, "text", True, [value], float("inf")]}
            wrong[name] += [] if may_be_null(path) else [None]
        for key, values in wrong.items():
            for bad in values:
                yield key, changed(config, tuple(key.split(".")), bad)


def test_every_generated_mistake_is_refused_by_its_name():
    cases = list(mutations())
    assert len(cases) >= 50
    for key, config in cases:
        text = message(config)
        assert text.startswith(f"config: {key} ") and "\n" not in text, (key, text)


def test_all_mistakes_are_told_at_once():
    config = changed(load(), (*WATER, "temperature"), -1)
    config = changed(config, ("device",), "cuda")
    assert [line.split()[1] for line in message(config).splitlines()] == [
        "device",
        "systems.water.temperature",
    ]


@pytest.mark.parametrize("platform", ["CUDA", "OpenCL"])
def test_a_gpu_where_none_is(platform):
    config = complete(load())
    check_gpu(config, here=set())
    with pytest.raises(DynmatchError, match=r"device is gpu, .* set it to cpu"):
        check_gpu(config | {"device": "gpu"}, here={"other"})
    on_gpu = changed(config, (*WATER, "reference", "platform"), platform)
    check_gpu(on_gpu, here={"NVIDIA"})
    with pytest.raises(DynmatchError, match=rf"reference.platform is {platform}, .* set it to CPU"):
        check_gpu(on_gpu, here=set())


def test_opencl_runs_on_a_gpu_of_any_maker_and_cuda_does_not():
    config = complete(load())
    check_gpu(changed(config, (*WATER, "reference", "platform"), "OpenCL"), here={"other"})
    with pytest.raises(DynmatchError, match="no NVIDIA GPU"):
        check_gpu(changed(config, (*WATER, "reference", "platform"), "CUDA"), here={"other"})


def test_a_file_in_the_place_of_the_results(tmp_path):
    check_writable(tmp_path / "results" / "laptop")
    (tmp_path / "results").write_text("")
    with pytest.raises(DynmatchError, match="results is a file where a folder"):
        check_writable(tmp_path / "results" / "laptop")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_write_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DynmatchError, match="no permission to write"):
        check_writable(tmp_path / "results")


def test_an_unknown_preset_is_answered_with_the_known_ones():
    call = subprocess.run(
        ["make", "-n", "figures", "PRESET=smok"], cwd=ROOT, capture_output=True, text=True
    )
    assert call.returncode != 0
    known = " ".join(path.stem for path in PRESETS)
    assert f"PRESET=smok is unknown; choose one of: {known}" in call.stderr


def test_snakemake_stops_with_the_message_and_leaves_nothing(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("systems: {water: {reference: {time_step: -0.002}}}")
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    command += ["--snakefile", ROOT / "Snakefile", "--directory", tmp_path]
    command += ["--configfile", ROOT / "config.yaml", bad]
    call = subprocess.run(
        command,
        capture_output=True,
        text=True,
    )
    assert call.returncode != 0
    assert call.stderr.splitlines()[-1].startswith(
        "error: config: systems.water.reference.time_step is -0.002; it must be at least 1e-05"
    )
    assert "Traceback" not in call.stderr
    assert not (tmp_path / "results").exists()


REPEATED = {
    "at the top": "seeds: [1]\nmodels: [ld]\nseeds: [2]\n",
    "in a section": "systems:\n  water:\n    kind: water\n    kind: known\n",
    "in a list": "systems:\n  own:\n    reference: {sites: [{name: A, atoms: all,\n name: B}]}\n",
}


@pytest.mark.parametrize("text", REPEATED.values(), ids=REPEATED)
def test_a_key_that_comes_twice_is_told_with_its_line(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DynmatchError, match=r"mine.yaml: line [34]: '(seeds|kind|name)' comes tw"):
        require_unique_keys(path)


@pytest.mark.parametrize("path", [ROOT / "config.yaml", *PRESETS], ids=lambda path: path.stem)
def test_shipped_configs_have_each_key_once(path):
    require_unique_keys(path)


def test_anchors_that_hold_themselves_are_told():
    system = {"kind": "water"}
    system["training"] = system
    assert message({"systems": {"a": system}}).startswith("config: systems.a is nested more than")
    many = [1]
    for _ in range(18):
        many = [many] * 10
    assert "seeds" in message({"seeds": many})
