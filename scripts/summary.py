"""summary.csv: every model and seed against its reference."""

import numpy as np
import pandas as pd
import yaml

from dynmatch.storage.atomic import replacing
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
    for system, samples, diffusion in zip(
        params.names, files.reference_samples, files.reference_diffusion, strict=True
    ):
        references[system] = dict(np.load(samples)), pd.read_csv(diffusion)
        rows[system, "reference", ""] = reference_rows(references[system][1])
    for (system, model, seed), samples, diffusion, trained in zip(
        params.runs, files.samples, files.diffusion, files.models, strict=True
    ):
        with open(trained, encoding="utf-8") as file:
            parameters = yaml.safe_load(file)
        reference, expected = references[system]
        compared = Compared(
            dict(np.load(samples)),
            reference,
            (pd.read_csv(diffusion), expected),
            params.settings[system],
        )
        found = [*rows_of(params.analyses[system], compared), *trained_rows(parameters)]
        if truth := params.truth[system]:
            found += recovery_rows(compared, parameters, truth)
        rows[system, model, str(seed)] = found
    with replacing(snakemake.output.summary) as path:
        summary(rows).to_csv(path, index=False, float_format="%.6g")


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
