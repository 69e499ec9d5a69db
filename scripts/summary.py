"""summary.csv: every model and seed against its reference."""

import numpy as np
import pandas as pd
import yaml

from dynmatch.storage.atomic import replacing
from dynmatch.summary.bars import with_verdicts
from dynmatch.summary.rows import (
    Compared,
    recovery_rows,
    reference_rows,
    rows_of,
    summary,
    trained_rows,
)
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    files, params = snakemake.input, snakemake.params
    rows, references = {}, {}
    for system, samples, diffusion, training_samples, training_diffusion in zip(
        params.names,
        files.reference_samples,
        files.reference_diffusion,
        files.training_samples,
        files.training_diffusion,
        strict=True,
    ):
        parts = [dict(np.load(path)) for path in (samples, training_samples)]
        constants = [pd.read_csv(path) for path in (diffusion, training_diffusion)]
        references[system] = parts, constants
        rows[system, "reference", ""] = reference_rows(*constants)
    for (system, model, seed), samples, diffusion, trained in zip(
        params.runs, files.samples, files.diffusion, files.models, strict=True
    ):
        with open(trained, encoding="utf-8") as file:
            parameters = yaml.safe_load(file)
        parts, constants = references[system]
        compared = Compared(
            dict(np.load(samples)),
            *parts,
            (pd.read_csv(diffusion), *constants),
            params.settings[system],
        )
        found = [*rows_of(params.analyses[system], compared), *trained_rows(parameters)]
        if truth := params.truth[system]:
            found += recovery_rows(compared, parameters, truth)
        rows[system, model, str(seed)] = found
    with replacing(snakemake.output.summary) as path:
        table = with_verdicts(summary(rows), params.analyses)
        table.to_csv(path, index=False, float_format="%.6g")


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
