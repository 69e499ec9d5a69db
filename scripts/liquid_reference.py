"""Rule liquid_reference: a liquid of molecules, simulated with all its atoms."""

from pathlib import Path

from dynmatch.systems.all_atom.liquid_reference import make_reference
from dynmatch.systems.all_atom.simulation import ReferenceSettings
from dynmatch.systems.molecular_liquid.build import build_liquid
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    where = f"systems.{snakemake.wildcards.system}.reference"
    reference = dict(snakemake.params.reference)
    made_of = ("molecules", "force_field", "density", "cutoff")
    temperature = snakemake.params.temperature
    box = build_liquid(
        **{key: reference.pop(key) for key in made_of}, temperature=temperature, where=where
    )
    settings = ReferenceSettings(
        **reference | {"threads": snakemake.threads}, temperature=temperature, where=where
    )
    make_reference(
        box,
        settings,
        Path(snakemake.params.checkpoint),
        system=snakemake.output.system,
        topology=snakemake.output.topology,
        trajectory=snakemake.output.trajectory,
        quality=snakemake.output.quality,
    )


# worker processes import this file
if __name__ == "__main__":
    with rule_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821
