"""Rule molecule_projection: the all-atom trajectory of a molecule as one of sites."""

from dynmatch.sites.trajectory import write
from dynmatch.systems.all_atom.projection import project_sites
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    where = f"systems.{snakemake.wildcards.system}.reference"
    sites = project_sites(snakemake.input.trajectory, snakemake.params.sites, where)
    write(snakemake.output.projected, sites)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
