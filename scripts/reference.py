"""Rule reference: a box of water, simulated with all its atoms."""

from pathlib import Path

from dynmatch.systems.all_atom.liquid_reference import make_reference
from dynmatch.systems.all_atom.simulation import ReferenceSettings
from dynmatch.systems.water.box import build_box
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    where = f"systems.{snakemake.wildcards.system}.reference"
    reference = dict(snakemake.params.reference)
    box = build_box(
        model=reference.pop("water_model"),
        molecules=reference.pop("molecules"),
        density=reference.pop("density"),
        cutoff=reference.pop("cutoff"),
        where=where,
    )
    settings = ReferenceSettings(
        **reference | {"threads": snakemake.threads},
        temperature=snakemake.params.temperature,
        where=where,
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
