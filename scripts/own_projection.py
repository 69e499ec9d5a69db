"""Rule own_projection: trajectories of the user's own as those of sites."""

import logging
from collections import Counter

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
        cutoffs={
            f"{system}.potential.cutoff": params.cutoff,
            f"{system}.observables.shell_cutoff": params.shell_cutoff,
        },
        periodic=params.periodic,
        box=params.box,
        where=f"{system}.reference",
        molecules=params.molecules,
    )
    counts = Counter(sites.topology.names)
    logging.info(
        "%d frames of %s, %d bonds",
        sites.n_frames,
        ", ".join(f"{count} {name}" for name, count in counts.items()),
        len(sites.topology.bonds),
    )
    write(snakemake.output.projected, sites)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
