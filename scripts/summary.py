"""summary.csv: every model and seed against its reference."""

import numpy as np
import pandas as pd
import yaml

from dynmatch.storage.atomic import replacing
from dynmatch.summary.liquid import (
    model_rows,
    recovery_rows,
    reference_rows,
    summary,
    trained_rows,
)
from dynmatch.summary.molecule import molecule_rows
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    files, params = snakemake.input, snakemake.params
    rows, reference, expected = {}, {}, {}
    for system, samples, diffusion in zip(
        params.names, files.reference_samples, files.reference_diffusion, strict=True
    ):
        reference[system], expected[system] = dict(np.load(samples)), pd.read_csv(diffusion)
        rows[system, "reference", ""] = reference_rows(expected[system])
    for (system, model, seed), samples, diffusion, trained in zip(
        params.runs,
        files.samples,
        files.diffusion,
        files.models,
        strict=True,
    ):
        with open(trained, encoding="utf-8") as file:
            parameters = yaml.safe_load(file)
        observed = dict(np.load(samples))
        tables = pd.read_csv(diffusion), expected[system]
        if system in params.timescale_lags:
            lag = params.timescale_lags[system]
            rows[system, model, str(seed)] = [
                *molecule_rows(observed, reference[system], tables, lag),
                *trained_rows(parameters),
            ]
            continue
        rows[system, model, str(seed)] = model_rows(
            observed,
            reference[system],
            tables,
            parameters,
            **params.systems[system],
        )
        if params.truth[system]:
            rows[system, model, str(seed)] += recovery_rows(
                observed, reference[system], parameters, params.truth[system]
            )
    with replacing(snakemake.output.summary) as path:
        summary(rows).to_csv(path, index=False, float_format="%.6g")


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
