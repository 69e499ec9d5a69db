"""Rule liquid_projection: the all-atom trajectory of a liquid as one of sites."""

from pathlib import Path

import openmm

from dynmatch.sites.trajectory import write
from dynmatch.systems.all_atom.particles import masses
from dynmatch.systems.all_atom.projection import project_sites
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    xml = Path(snakemake.input.system).read_text(encoding="utf-8")
    sites = project_sites(
        snakemake.input.trajectory,
        snakemake.params.sites,
        where=f"systems.{snakemake.wildcards.system}.reference",
        # of united atoms, which weigh more than their elements
        masses=masses(openmm.XmlSerializer.deserialize(xml)),
    )
    write(snakemake.output.projected, sites)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
