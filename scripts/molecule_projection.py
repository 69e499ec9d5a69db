"""Rule molecule_projection: the all-atom trajectory of a molecule as one of sites."""

from dynmatch.log import rule_log
from dynmatch.molecule_projection import project_molecule
from dynmatch.trajectory import write


def main(snakemake) -> None:
    where = f"systems.{snakemake.wildcards.system}.reference"
    sites = project_molecule(snakemake.input.trajectory, snakemake.params.sites, where)
    write(snakemake.output.projected, sites)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
