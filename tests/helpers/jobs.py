"""The jobs that a run would have, without running any.

As a program, `python jobs.py SNAKEFILE FOLDER CONFIGFILE...` prints them as JSON: Snakemake works
in a process of its own, because it changes what it is imported into.
"""

import contextlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).parents[2]
OVERLAYS = [
    ROOT / "presets" / "known.yaml",
    ROOT / "presets" / "dipeptide.yaml",
    ROOT / "presets" / "hexane.yaml",
    ROOT / "examples" / "methanol" / "methanol.yaml",
]
ALL_SYSTEMS = {
    "run": "all",
    "only": ["water", "known_bd", "known_ld", "dipeptide", "hexane", "methanol"],
    "models": ["bd", "ld", "gle"],
    # their frames are far apart for a memory, and no job is run
    "systems": {
        "water": {"baselines": {"methods": ["fm", "rem"]}},
        "dipeptide": {"training": {"gle": {"lags": [0.6]}}},
        "methanol": {"training": {"gle": {"lags": [10.0]}}},
    },
}
OWN_FILES = ("topology.pdb", "run-1.xtc", "run-2.xtc")


@dataclass(frozen=True)
class Job:
    """A job: rule, wildcards, script, name of its conda environment, message, parameters as JSON,
    and the files of the workflow among its inputs, relative to scripts/."""

    rule: str
    wildcards: dict[str, str]
    script: str
    environment: str
    message: str
    params: str
    code: frozenset[str]


@cache
def all_jobs() -> tuple[Job, ...]:
    """Those of one run with a system of every kind, all dynamics, and baselines."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        own = folder / "results" / "methanol_atoms"
        own.mkdir(parents=True)
        for file in OWN_FILES:
            (own / file).touch()
        only = folder / "only.yaml"
        only.write_text(yaml.safe_dump(ALL_SYSTEMS))
        return jobs_of_run(ROOT / "Snakefile", folder, [ROOT / "config.yaml", *OVERLAYS, only])


def jobs_of_run(snakefile: Path, folder: Path, configfiles: list[Path]) -> tuple[Job, ...]:
    """Those of a run in `folder`, where none has been done yet."""
    command = [sys.executable, __file__, snakefile, folder, *configfiles]
    call = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    listed = json.loads(call.stdout)
    return tuple(Job(**{**each, "code": frozenset(each["code"])}) for each in listed)


def jobs_of(rule: str, **wildcards: str) -> list[Job]:
    """The jobs of a rule with these wildcards, of which there is one at least."""
    found = [
        job for job in all_jobs() if job.rule == rule and job.wildcards | wildcards == job.wildcards
    ]
    assert found, f"no job of {rule} with {wildcards}"
    return found


def jobs_with(system: str) -> list[Job]:
    """The jobs of one system, of whatever rule."""
    return [job for job in all_jobs() if job.wildcards.get("system") == system]


def listed(snakefile: Path, folder: Path, configfiles: list[Path]) -> list[dict]:
    from snakemake.api import SnakemakeApi
    from snakemake.settings.types import ConfigSettings, ResourceSettings

    scripts = snakefile.parent / "scripts"
    with SnakemakeApi() as api:
        run = api.workflow(
            resource_settings=ResourceSettings(cores=2),
            config_settings=ConfigSettings(configfiles=configfiles),
            snakefile=snakefile,
            workdir=folder,
        )
        graph = run.dag()
        with contextlib.redirect_stdout(io.StringIO()):
            graph.printd3dag()
        # Snakemake has no public name for the jobs of its graph
        inputs = {
            job: [Path(folder, file).resolve() for file in job.input]
            for job in run._workflow.dag.jobs
        }
        return [
            {
                "rule": job.rule.name,
                "wildcards": dict(job.wildcards.items()),
                "script": Path(job.rule.script).name,
                "environment": Path(job.rule.conda_env).name,
                "message": job.message,
                "params": json.dumps(dict(job.params.items()), default=str, sort_keys=True),
                "code": [
                    str(file.relative_to(scripts)) for file in files if scripts in file.parents
                ],
            }
            for job, files in inputs.items()
            if job.rule.script
        ]


if __name__ == "__main__":
    snakefile, folder, *configfiles = map(Path, sys.argv[1:])
    print(json.dumps(listed(snakefile, folder.resolve(), configfiles)))
