# The completed config, and what several rules share.
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from dynmatch.workflow.config import baselines_of, check_gpu, check_writable, complete, models_of
from dynmatch.workflow.config import BASELINE_DYNAMICS, BASELINE_METHODS, mapping_of, seeds_of
from dynmatch.errors import DynmatchError
from dynmatch.runtime.source_closure import closure, imports

try:
    config = complete(config)
    check_writable(f"results/{config['run']}")
except DynmatchError as error:
    sys.exit(f"error: {error}")

SYSTEMS = list(config["systems"])
WATER_SYSTEMS = [name for name in SYSTEMS if config["systems"][name]["kind"] == "water"]
OWN_SYSTEMS = [name for name in SYSTEMS if config["systems"][name]["kind"] == "trajectory"]
KNOWN_SYSTEMS = [name for name in SYSTEMS if config["systems"][name]["kind"] == "known"]
MOLECULE_SYSTEMS = [name for name in SYSTEMS if config["systems"][name]["kind"] == "molecule"]
LIQUID_SYSTEMS = [name for name in SYSTEMS if name not in MOLECULE_SYSTEMS]
TRAINED = {name: models_of(config, name) for name in SYSTEMS}
MODELS = {name: TRAINED[name] + baselines_of(config, name) for name in SYSTEMS}
RUNS = [
    (system, model, seed)
    for system in SYSTEMS
    for model in MODELS[system]
    for seed in seeds_of(config, system, model)
]
GPUS = 1 if config["device"] == "gpu" else 0


def one_of(names):
    """A regular expression of the names; of no text at all where there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    system=one_of(SYSTEMS),
    model=one_of(sorted({model for models in MODELS.values() for model in models})),
    seed=r"\d+",


def library(script):
    """scripts/{script}.py and the files of the library that it rests on, for a rule's input.

    The script is among them because snakemake compares inputs by content, but scripts by time.
    """
    path = Path(workflow.basedir) / "scripts" / f"{script}.py"
    return [os.path.relpath(file) for file in (path, *closure(imports(path)))]


def validation_memory(wildcards, input):
    """MB for a validation: positions and velocities in single precision, thrice while joined."""
    system = config["systems"][wildcards.system]
    if system["kind"] == "trajectory":
        # the number of sites stands in the file only
        return 2000 + round(10 * input.size_mb)
    reference, settings = system["reference"], system["validation"]
    sites = {
        "water": lambda: reference["molecules"],
        "known": lambda: reference["sites"],
        "molecule": lambda: len(reference["sites"]),
    }[system["kind"]]()
    frames = settings["replicas"] * settings["length"] / settings["frame_spacing"]
    return 2000 + round(input.size_mb + 72e-6 * sites * frames)


def molecule_topology(wildcards):
    """The PDB file of a molecule, from the working directory, or one that comes with the workflow."""
    path = config["systems"][wildcards.system]["reference"]["topology"]
    return path if os.path.exists(path) else os.path.relpath(Path(workflow.basedir) / path)


def check_devices():
    """Before the first job of a local run: is there a GPU where the config asks for one?"""
    if workflow.local_exec:
        try:
            check_gpu(config)
        except DynmatchError as error:
            sys.exit(f"error: {error}")
