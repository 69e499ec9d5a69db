"""Observables of a molecule's torsions, of the reference and of a model alike, as CSV tables."""

import logging

from dynmatch.observables import files
from dynmatch.observables.molecule import observe
from dynmatch.sites.trajectory import read
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    trajectory = read(snakemake.input.trajectory, velocities=False, forces=False)
    logging.info("%d frames of %d sites", trajectory.n_frames, trajectory.n_sites)
    tables, samples = observe(
        trajectory, snakemake.params.temperature, snakemake.params.observables
    )
    files.write(snakemake.output, tables, samples)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
