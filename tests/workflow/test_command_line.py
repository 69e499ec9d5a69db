"""Lists and mappings of --config, whose numbers Snakemake leaves text."""

from dynmatch.workflow.config import retyped


def test_numbers_in_lists_and_mappings_are_numbers():
    given = {"seeds": ["1", "2"], "systems": {"a": {"x": "0.5", "y": ["3", "BD"], "z": "null"}}}
    config = {"run": "7", "seeds": ["1", "2"]}
    config["systems"] = {"a": {**given["systems"]["a"], "kept": "1"}, "b": {"x": "1"}}
    assert retyped(config, given | {"run": "7"}) == {
        "run": "7",
        "seeds": [1, 2],
        "systems": {"a": {"x": 0.5, "y": [3, "BD"], "z": None, "kept": "1"}, "b": {"x": "1"}},
    }


def test_what_did_not_come_from_the_command_line_stays():
    assert retyped({"seeds": ["1"]}, {"seeds": ["2"], "other": ["3"]}) == {"seeds": ["1"]}
