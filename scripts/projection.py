"""Rule projection: the all-atom trajectory as one of molecules' centres of mass."""

from pathlib import Path

import openmm

from dynmatch.sites.trajectory import write
from dynmatch.systems.water.projection import project
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    xml = Path(snakemake.input.system).read_text(encoding="utf-8")
    sites = project(
        snakemake.input.trajectory,
        openmm.XmlSerializer.deserialize(xml),
        platform=snakemake.params.platform,
        threads=snakemake.threads,
        replicas=snakemake.params.replicas,
        frames=round(snakemake.params.length / snakemake.params.frame_spacing),
        where=f"systems.{snakemake.wildcards.system}.reference",
    )
    write(snakemake.output.projected, sites)


# worker processes import this file
if __name__ == "__main__":
    with rule_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821
