"""Engines that a trained model is written for, by name: the dotted names of their modules.

Each module has write(folder, model, start, name) -> files, and raises DynmatchError, naming what it
is, for a model that the engine cannot run.
"""

ENGINES = {
    "lammps": "dynmatch.export.lammps",
    "openmm": "dynmatch.export.openmm_files",
}
