"""Rule molecule_reference: a molecule in a solvent, simulated with all its atoms."""

import logging
from pathlib import Path

from dynmatch.storage.atomic import replacing
from dynmatch.systems.all_atom.simulation import (
    ReferenceSettings,
    assemble,
    produce,
    segments,
    write_box,
)
from dynmatch.systems.molecule.build import build_molecule
from dynmatch.systems.molecule.checks import assess, require_sound
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    where = f"systems.{snakemake.wildcards.system}.reference"
    reference = dict(snakemake.params.reference)
    del reference["sites"], reference["topology"]
    made_of = ("force_field", "hydrogen_mass", "solvent", "padding", "cutoff")
    molecule = build_molecule(
        snakemake.input.topology, **{key: reference.pop(key) for key in made_of}, where=where
    )
    settings = ReferenceSettings(
        **reference | {"threads": snakemake.threads},
        temperature=snakemake.params.temperature,
        thermostat_frequency=None,
        where=where,
    )
    paths = produce(molecule, settings, Path(snakemake.params.checkpoint))
    quality = assess(segments(paths, molecule, settings), molecule)
    logging.info("all-atom reference:\n%s", quality.to_string(index=False))
    require_sound(quality, settings)
    system, topology = snakemake.output.system, snakemake.output.topology
    write_box(molecule, molecule.positions, system, topology)
    trajectory = snakemake.output.trajectory
    assemble(segments(paths, molecule, settings), molecule, settings, trajectory, velocities=False)
    with replacing(snakemake.output.quality) as temporary:
        quality.to_csv(temporary, index=False)


# worker processes import this file
if __name__ == "__main__":
    with rule_log(snakemake.log[0]):  # noqa: F821
        main(snakemake)  # noqa: F821
