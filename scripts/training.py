"""Train one coarse-grained model on the projected reference."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

from dynmatch.runtime.jax_setup import configure
from dynmatch.storage.atomic import replacing
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    params = snakemake.params
    configure(params.device, snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    import pandas as pd

    from dynmatch.model_file import save
    from dynmatch.runtime.names import named
    from dynmatch.settings import TrainingSettings
    from dynmatch.sites.holdout import training_part
    from dynmatch.sites.trajectory import read
    from dynmatch.training.train import START_COLUMNS, train

    trajectory = training_part(read(snakemake.input.projected, velocities=False, forces=False))
    topology = trajectory.topology
    settings = TrainingSettings.of(params.training)
    trained = train(
        trajectory,
        snakemake.wildcards.model,
        params.temperature,
        named(params.potential_settings).of(params.potential),
        settings,
        int(snakemake.wildcards.seed),
        params.checkpoint,
    )
    with replacing(snakemake.output.history) as path:
        pd.DataFrame(trained.history).to_csv(path, index=False, float_format="%.8g")
    with replacing(snakemake.output.start) as path:
        pd.DataFrame(trained.start, columns=START_COLUMNS).to_csv(
            path, index=False, float_format="%.8g"
        )
    decisive = [params.temperature, params.potential, params.training]
    record = {
        "system": snakemake.wildcards.system,
        "seed": int(snakemake.wildcards.seed),
        "mapping": params.mapping,
        "lags_ps": list(settings.of_dynamics(snakemake.wildcards.model).lags),
        "converged": trained.converged,
        "status": trained.status,
        "ended_by": trained.ended_by,
        "updates": len(trained.history),
        "minutes": round(trained.minutes, 3),
        "git_commit": git_commit(),
        "config_sha256": hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest(),
    }
    save(snakemake.output.model, snakemake.output.arrays, trained.model, topology, record)
    if trained.ended_by != "minutes":
        # one that was cut off continues from there when it is given more minutes
        shutil.rmtree(params.checkpoint, ignore_errors=True)


def git_commit() -> str | None:
    """Commit of the workflow's sources; None where they are not a git checkout."""
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or None


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
