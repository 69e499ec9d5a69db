"""Files of a trained model for LAMMPS and OpenMM."""

import importlib
import logging
from pathlib import Path

from dynmatch.errors import DynmatchError
from dynmatch.runtime.jax_setup import configure
from dynmatch.storage.atomic import replacing
from dynmatch.workflow.log import rule_log


def main(snakemake) -> None:
    configure("cpu", snakemake.threads)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.export.registry import ENGINES
    from dynmatch.model_file import load
    from dynmatch.sites.trajectory import read

    model = load(snakemake.input.model)
    start = read(snakemake.input.projected, velocities=False, forces=False)
    marks = snakemake.wildcards
    name = f"{marks.system}, {marks.model}, seed {marks.seed}"
    folder = Path(snakemake.output.folder)
    reasons = []
    for engine, module in ENGINES.items():
        try:
            importlib.import_module(module).write(folder / engine, model, start, name)
        except DynmatchError as reason:
            logging.warning("no files for %s: %s", engine, reason)
            reasons.append(f"No files for {engine}: {reason}.\n")
    if reasons:
        with replacing(folder / "not-written.txt") as path:
            path.write_text("".join(reasons), encoding="utf-8")


with rule_log(snakemake.log[0]):  # noqa: F821
    main(snakemake)  # noqa: F821
