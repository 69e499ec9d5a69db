"""Files of a trained model for LAMMPS and OpenMM."""

from pathlib import Path

from dynmatch.backend import configure
from dynmatch.log import rule_log


def main(snakemake) -> None:
    configure("cpu", snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.export import lammps, openmm_files
    from dynmatch.model import load
    from dynmatch.trajectory import read

    model = load(snakemake.input.model)
    start = read(snakemake.input.projected, velocities=False, forces=False)
    marks = snakemake.wildcards
    name = f"{marks.system}, {marks.model}, seed {marks.seed}"
    folder = Path(snakemake.output.folder)
    lammps.write(folder / "lammps", model, start, name)
    openmm_files.write(folder / "openmm", model, start)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
