"""Rule liquid_reference: a liquid of molecules, simulated with all its atoms."""

import logging
from pathlib import Path

from dynmatch.storage.atomic import replacing
from dynmatch.systems.all_atom.liquid_checks import assess, require_sound
from dynmatch.systems.all_atom.simulation import (
    ReferenceSettings,
    assemble,
    produce,
    segments,
    write_box,
)
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
    paths = produce(box, settings, Path(snakemake.params.checkpoint))
    quality = assess(segments(paths, box, settings), box, settings)
    logging.info("all-atom reference:\n%s", quality.to_string(index=False))
    require_sound(quality, settings)
    first = next(segments(paths, box, settings)[0])
    write_box(box, first.positions[0], snakemake.output.system, snakemake.output.topology)
    assemble(segments(paths, box, settings), box, settings, snakemake.output.trajectory)
    with replacing(snakemake.output.quality) as temporary:
        quality.to_csv(temporary, index=False)


# worker processes import this file
if __name__ == "__main__":
    with rule_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821
