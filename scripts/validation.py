"""Long runs of a trained model, several replicas side by side."""

import shutil

from dynmatch.runtime.jax_setup import configure
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    configure(snakemake.params.device, snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.model_file import load
    from dynmatch.settings import ValidationSettings
    from dynmatch.simulation.run import simulate
    from dynmatch.sites.trajectory import read, write

    settings = ValidationSettings.of(snakemake.params.validation)
    trajectory = simulate(
        load(snakemake.input.model),
        read(snakemake.input.projected, velocities=False, forces=False),
        replicas=settings.replicas,
        length=settings.length,
        equilibration=settings.equilibration,
        frame_spacing=settings.frame_spacing,
        copies=settings.copies,
        seed=int(snakemake.wildcards.seed),
        folder=snakemake.params.checkpoint,
    )
    write(snakemake.output.trajectory, trajectory)
    shutil.rmtree(snakemake.params.checkpoint, ignore_errors=True)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
