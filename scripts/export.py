"""Files of a trained model for LAMMPS and OpenMM."""

import logging
from pathlib import Path

from dynmatch.errors import DynmatchError
from dynmatch.runtime.jax_setup import configure
from dynmatch.storage.atomic import replacing
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    configure("cpu", snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.export import lammps, openmm_files
    from dynmatch.model_file import load
    from dynmatch.sites.trajectory import read

    model = load(snakemake.input.model)
    start = read(snakemake.input.projected, velocities=False, forces=False)
    marks = snakemake.wildcards
    name = f"{marks.system}, {marks.model}, seed {marks.seed}"
    folder = Path(snakemake.output.folder)
    openmm_files.write(folder / "openmm", model, start)
    try:
        lammps.write(folder / "lammps", model, start, name)
    except DynmatchError as reason:
        logging.warning("no files for LAMMPS: %s", reason)
        with replacing(folder / "not-written.txt") as path:
            path.write_text(f"No files for LAMMPS: {reason}.\n", encoding="utf-8")


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
