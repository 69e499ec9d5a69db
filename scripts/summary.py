"""summary.csv: every model and seed against its reference."""

from itertools import product

import numpy as np
import pandas as pd
import yaml

from dynmatch.files import replacing
from dynmatch.log import rule_log
from dynmatch.summary import model_rows, reference_rows, summary


def main(snakemake) -> None:
    files, params = snakemake.input, snakemake.params
    rows, reference, truth = {}, {}, {}
    for system, samples, diffusion in zip(
        params.systems, files.reference_samples, files.reference_diffusion, strict=True
    ):
        reference[system], truth[system] = dict(np.load(samples)), pd.read_csv(diffusion)
        rows[system, "reference", ""] = reference_rows(truth[system])
    for (system, model, seed), samples, diffusion, trained in zip(
        product(params.systems, params.models, params.seeds),
        files.samples,
        files.diffusion,
        files.models,
        strict=True,
    ):
        with open(trained, encoding="utf-8") as file:
            rows[system, model, str(seed)] = model_rows(
                dict(np.load(samples)),
                reference[system],
                (pd.read_csv(diffusion), truth[system]),
                yaml.safe_load(file),
                **params.systems[system],
            )
    with replacing(snakemake.output.summary) as path:
        summary(rows).to_csv(path, index=False, float_format="%.6g")


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
