"""Fit the potential of one baseline method, and write it with each of the baselines' dynamics."""

import shutil
from pathlib import Path

from dynmatch.runtime.jax_setup import configure
from dynmatch.storage.atomic import replacing
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    params, wildcards = snakemake.params, snakemake.wildcards
    configure(params.device, snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    import pandas as pd

    from dynmatch.dynamics.initial import einstein_friction, mean_mass
    from dynmatch.model_file import save
    from dynmatch.runtime.names import named
    from dynmatch.settings import BaselineSettings, TrainingSettings
    from dynmatch.sites.holdout import training_part
    from dynmatch.sites.trajectory import read
    from dynmatch.training.baselines import fit, with_dynamics
    from dynmatch.units import BOLTZMANN

    trajectory = training_part(read(snakemake.input.projected, velocities=False))
    training = TrainingSettings.of(params.training)
    baselines = BaselineSettings.of(params.baselines)
    model, history, minutes = fit(
        wildcards.method,
        trajectory,
        params.temperature,
        named(params.potential_settings).of(params.potential),
        training,
        baselines,
        int(wildcards.seed),
        params.checkpoint,
    )
    with replacing(snakemake.output.history) as path:
        pd.DataFrame(history).to_csv(path, index=False, float_format="%.8g")
    friction = einstein_friction(trajectory, BOLTZMANN * params.temperature)
    for dynamics in params.dynamics:
        complete = with_dynamics(
            model,
            dynamics,
            mean_mass(trajectory),
            friction,
            baselines.thermostat,
            training,
        )
        record = {
            "system": wildcards.system,
            "seed": int(wildcards.seed),
            "method": wildcards.method,
            "minutes": round(minutes, 3),
        }
        path = Path(snakemake.output[dynamics])
        save(path, path.with_suffix(".npz"), complete, trajectory.topology, record)

    shutil.rmtree(params.checkpoint, ignore_errors=True)


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
