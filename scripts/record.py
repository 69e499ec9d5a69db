"""Summary, config, versions and run times as pages for `snakemake --report`."""

from pathlib import Path

import pandas as pd
import yaml

from dynmatch.storage.atomic import replacing
from dynmatch.summary.verdicts import lines
from dynmatch.workflow import report as pages
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    files, params = snakemake.input, snakemake.params
    models = []
    for run, path in zip(params.runs, files.models, strict=True):
        with open(path, encoding="utf-8") as file:
            models.append((run, yaml.safe_load(file)))
    told = list(lines(files.summary))
    texts = {
        "verdicts": "\n".join(told) + "\n",
        "opening": pages.bullets(told) + pages.pictures(map(Path, files.opening)),
        "summary": pages.summary(_summary(files.summary)),
        "config": pages.text("Config, with every default", pages.as_yaml(params.config)),
        "versions": pages.table("Models and versions", pages.versions(models)),
        "times": pages.table("Run times", pages.run_times(Path(params.benchmarks))),
    }
    for name, content in texts.items():
        with replacing(snakemake.output[name]) as path:
            path.write_text(content, encoding="utf-8")


def _summary(path: str) -> pd.DataFrame:
    """Seeds as they are written, and an empty status as no text."""
    table = pd.read_csv(path, dtype={"seed": str})
    return table.assign(status=table["status"].fillna(""))


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
