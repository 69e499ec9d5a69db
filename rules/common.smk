# The completed config, and what several rules share.
import os
import re
import sys
from pathlib import Path

# the folder of this workflow: where another imports it as a module, workflow.basedir is the other's
HERE = Path(workflow.current_basedir).parent
sys.path.insert(0, str(HERE / "scripts"))

from dynmatch.dynamics.registry import DYNAMICS, dynamics_of
from dynmatch.errors import DynmatchError
from dynmatch.export.registry import ENGINES
from dynmatch.observables.registry import ANALYSES
from dynmatch.plotting.captions import caption
from dynmatch.plotting.registry import (
    FIGURES,
    MEMORY,
    OPENING,
    SUMMARY,
    TABLES,
    TRAINING_PART,
    TRUTH,
    TYPES,
    figures_of,
)
from dynmatch.potentials.registry import TERMS
from dynmatch.runtime.names import named
from dynmatch.runtime.source_closure import closure, imports
from dynmatch.summary import verdicts
from dynmatch.systems import costs
from dynmatch.systems import registry as kinds
from dynmatch.systems.base import baselines_of, values_at
from dynmatch.training import reads
from dynmatch.training.classifiers.registry import CLASSIFIERS
from dynmatch.workflow import estimates
from dynmatch.workflow.config import (
    check_writable,
    complete,
    models_of,
    require_unique_keys,
    retyped,
    seeds_of,
)
from dynmatch.workflow.devices import check_gpu, gpus_here, on_gpu
from dynmatch.workflow.schema import choices

try:
    for file in dict.fromkeys(map(os.path.abspath, workflow.configfiles)):
        require_unique_keys(file)
    config = complete(retyped(config, workflow.config_settings.config))
    check_writable(f"results/{config['run']}")
except DynmatchError as error:
    sys.exit(f"error: {error}")

SYSTEMS = list(config["systems"])
CARDS = {name: kinds.card_of(config["systems"][name]["kind"]) for name in SYSTEMS}
SYSTEMS_OF = {
    kind: [name for name in SYSTEMS if config["systems"][name]["kind"] == kind]
    for kind in kinds.SYSTEMS
}
ANALYSED = {
    analysis: [name for name in SYSTEMS if CARDS[name].analysis == analysis]
    for analysis in ANALYSES
}
TRAINED = {name: models_of(config, name) for name in SYSTEMS}
MODELS = {name: TRAINED[name] + baselines_of(config["systems"][name]) for name in SYSTEMS}
TRUTHS = {name: CARDS[name].truth(config["systems"][name]) for name in SYSTEMS}
IN_BOXES = [name for name in SYSTEMS if CARDS[name].box_of_atoms]
OWN = [name for name in SYSTEMS if config["systems"][name]["reference"].get("trajectories")]
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


def library(script, *modules):
    """scripts/{script}.py and the files of the library that it and `modules` rest on, for a rule's
    input; `modules` are dotted names of those that the script loads by name.

    The script is among them because snakemake compares inputs by content, but scripts by time.
    """
    path = HERE / "scripts" / f"{script}.py"
    return [os.path.relpath(file) for file in (path, *closure(imports(path).union(modules)))]


def modules_of(wildcards):
    """Modules that a model is loaded from by name: of its system's terms, and its dynamics."""
    terms = [TERMS[term] for term in CARDS[wildcards.system].terms]
    return [*terms, DYNAMICS[dynamics_of(wildcards.model)].module]


def training_modules(system):
    """Modules that a training loads by name beside those of the model: classifier and start."""
    card = CARDS[system]
    return [CLASSIFIERS[card.classifier], named(card.potential).start]


def comparing_modules():
    """Modules that compare models in the observables of the systems that there are."""
    analyses = dict.fromkeys(CARDS[name].analysis for name in SYSTEMS)
    return [module for name in analyses for module in ANALYSES[name].comparing_modules]


def value_of(name, key):
    """The value at a dotted key of a system's config."""
    value = config["systems"][name]
    for part in key.split("."):
        value = value[part]
    return value


def updates_of(name, model):
    """Updates that the training of a model is planned with."""
    training = value_of(name, "training")
    return training[model]["updates"] or training["updates"]


def compared_by(name):
    """What the summary's rows of a system depend on, by dotted key."""
    return {key: value_of(name, key) for key in ANALYSES[CARDS[name].analysis].compares_by}


def reference_memory(system):
    """MB for positions, velocities and forces of all sites in single precision."""
    reference = system["reference"]
    sites = kinds.card_of(system["kind"]).sites(system)
    frames = reference["replicas"] * reference["length"] / reference["frame_spacing"]
    return 1000 + round(36e-6 * sites * frames)


def validation_memory(wildcards, input):
    """MB for a validation: positions and velocities in single precision, thrice while joined."""
    system = config["systems"][wildcards.system]
    sites, settings = CARDS[wildcards.system].sites(system), system["validation"]
    copies = settings["copies"] ** 3
    if sites is None:
        # the number of sites stands in the file only
        return 2000 + round(10 * input.size_mb * copies)
    frames = settings["replicas"] * settings["length"] / settings["frame_spacing"]
    return 2000 + round(input.size_mb + 72e-6 * sites * copies * frames)


def shipped(path):
    """A file from the working directory or, where there is none, one that comes with the workflow."""
    return path if os.path.exists(path) else os.path.relpath(HERE / path)


def simulated_liquid(name):
    """What the all-atom simulation of a liquid depends on: its section without the sites, and with
    the paths of files that come with the workflow."""
    reference = config["systems"][name]["reference"]
    molecules = [each | {"file": shipped(each["file"])} for each in reference["molecules"]]
    paths = {file: shipped(file) for file in reference["force_field"]}
    # OpenMM's own are known to it by their names
    force_field = [path if os.path.exists(path) else file for file, path in paths.items()]
    kept = {key: value for key, value in reference.items() if key != "sites"}
    return kept | {"molecules": molecules, "force_field": force_field}


def check_devices():
    """Before the first job of a local run: is there a GPU where the config asks for one?"""
    if workflow.local_exec:
        try:
            check_gpu(config, gpus_here())
        except DynmatchError as error:
            sys.exit(f"error: {error}")


def tell_times():
    """Before the first job of a local run: how long it takes from here. A GPU is not estimated."""
    if not workflow.local_exec or config["device"] == "gpu":
        return
    folder, work, unknown = Path(f"results/{config['run']}"), [], []
    for name in SYSTEMS:
        runs = [(model, seed) for system, model, seed in RUNS if system == name]
        found = estimates.work_of(name, config["systems"][name], runs)
        work += found
        unknown += [] if found else [name]
    drawn = [Path(path) for path in figure_files() if path.endswith(".png")]
    work += [estimates.Work("figures", f"figures/{path.name}", costs.SHORT) for path in drawn]
    left = [each for each in work if not (folder / each.file).exists()]
    line = estimates.told(left, workflow.resource_settings.cores, costs.slowness(), unknown)
    if line:
        print(line, file=sys.stderr)


def tell_verdicts():
    """After a run, on the terminal: what the summary says of every model, the last lines of all."""
    summary = Path(f"results/{config['run']}/summary.csv")
    if summary.is_file():
        print("", *verdicts.lines(summary), sep="\n", file=sys.stderr)
