"""Observables of a site trajectory, of a part of the reference and of a model alike, as CSV
tables."""

import logging
from itertools import accumulate

from dynmatch.observables import files
from dynmatch.observables.analysis import observe
from dynmatch.observables.registry import ANALYSES
from dynmatch.runtime.names import named
from dynmatch.sites.holdout import scoring_part, training_part
from dynmatch.sites.trajectory import read
from dynmatch.workflow.log import rule_log

PARTS = {"scoring": scoring_part, "training": training_part, "whole": lambda trajectory: trajectory}
"""What is observed of a trajectory."""


def main(snakemake) -> None:
    params = snakemake.params
    card = ANALYSES[params.analysis]
    trajectory = PARTS[params.part](
        read(snakemake.input.trajectory, velocities=card.velocities, forces=False)
    )
    logging.info("%d frames of %d sites", trajectory.n_frames, trajectory.n_sites)
    settings = named(card.settings).of(params.observables)
    window = sorted({*params.lags, *accumulate(params.lags)})
    tables, samples = observe(params.analysis, trajectory, params.temperature, settings, window)
    files.write(snakemake.output, tables, samples)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
