"""Rule own_projection: trajectories of the user's own as those of sites."""

import logging
from collections import Counter

from dynmatch.errors import DynmatchError
from dynmatch.sites.trajectory import write
from dynmatch.systems.trajectory.projection import project_own
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    params = snakemake.params
    system = f"systems.{snakemake.wildcards.system}"
    sites = project_own(
        snakemake.input.topology,
        snakemake.input.trajectories,
        params.frame_spacing,
        params.temperature,
        params.sites,
        cutoffs=params.cutoffs,
        where=f"{system}.reference",
        **params.reference,
    )
    if params.needs_forces and sites.forces is None:
        raise DynmatchError(
            f"{system}.baselines.methods has fm, force matching, and the trajectories have no "
            "forces in every frame; take it out, or give files that have them"
        )
    counts = Counter(sites.topology.names)
    logging.info(
        "%d frames in %d runs of %s, %d bonds, %s velocities, %s forces",
        sites.n_frames,
        len(sites.replicas()),
        ", ".join(f"{count} {name}" for name, count in counts.items()),
        len(sites.topology.bonds),
        "no" if sites.velocities is None else "with",
        "no" if sites.forces is None else "with",
    )
    write(snakemake.output.projected, sites)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
