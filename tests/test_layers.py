"""Imports go one way, and what a figure or a config needs loads neither JAX nor OpenMM."""

import subprocess
import sys

import pytest

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.potentials.registry import TERMS
from dynmatch.runtime.source_closure import LIBRARY, closure, imports
from dynmatch.systems.registry import SYSTEMS
from dynmatch.training.classifiers.registry import CLASSIFIERS

LAYERS = (
    ("errors", "units", "statistics", "settings"),
    ("storage", "runtime"),
    ("sites",),
    ("observables", "potentials"),
    ("dynamics",),
    ("bottom_up", "summary", "model"),
    ("training", "simulation", "systems"),
    ("api",),
    ("workflow", "export", "plotting"),
    ("cli",),
)
"""From the ground up: a room imports from itself and from the layers below its own."""
ROOMS = {
    "model_checks": "model",
    "model_file": "model",
    "model_format1": "model",
    "lammps_driver": "export",
    "__main__": "cli",
}
"""Modules that lie beside the room they belong to."""
HEAVY = {"jax", "jaxlib", "jax_md", "flax", "optax", "openmm"}
LIGHT_ROOMS = ("sites", "observables", "summary", "plotting", "workflow")
LIGHT_MODULES = [
    "dynmatch.settings",
    "dynmatch.systems.registry",
    *SYSTEMS.values(),
    "dynmatch.systems.trajectory.projection",
    "dynmatch.systems.all_atom.projection",
    "dynmatch.dynamics.registry",
    "dynmatch.potentials.registry",
    "dynmatch.training.classifiers.registry",
    "dynmatch.export.registry",
    "dynmatch.cli.main",
]

FILES = {
    str(path.relative_to(LIBRARY)): path
    for path in sorted(LIBRARY.rglob("*.py"))
    if path != LIBRARY / "__init__.py"
}


def rank(room: str) -> int:
    """Number of the layer of a room, from the ground up."""
    room = ROOMS.get(room, room)
    (found,) = (number for number, layer in enumerate(LAYERS) if room in layer)
    return found


def room_of(name: str) -> str:
    """The room of a dotted name below dynmatch."""
    room = name.split(".")[1]
    return ROOMS.get(room, room)


def dotted(file: str) -> str:
    parts = file.removesuffix(".py").removesuffix("/__init__").split("/")
    return ".".join(["dynmatch", *parts])


def library_imports(path) -> list[str]:
    return [name for name in imports(path) if name.startswith("dynmatch.")]


def light_modules() -> list[str]:
    rooms = [dotted(file) for file in FILES if file.split("/")[0] in LIGHT_ROOMS]
    return [*rooms, *LIGHT_MODULES]


@pytest.mark.parametrize("file", FILES)
def test_imports_go_down(file):
    own = room_of(dotted(file))
    for name in library_imports(FILES[file]):
        other = room_of(name)
        assert other == own or rank(other) < rank(own), f"{file} imports {name}"


def test_no_kind_of_system_imports_another():
    kinds = {name.split(".")[2] for name in SYSTEMS.values()}
    assert kinds < {path.name for path in (LIBRARY / "systems").iterdir()}
    for file, path in FILES.items():
        own = file.split("/")[-2] if "/" in file else ""
        if not file.startswith("systems/") or own not in {*kinds, "all_atom"}:
            continue
        for name in library_imports(path):
            for kind in kinds - {own}:
                assert not name.startswith(f"dynmatch.systems.{kind}."), f"{file} imports {name}"


def test_training_imports_no_particular_potential_and_no_particular_dynamics():
    """A classifier belongs to the terms that it sees, and is loaded by name as they are."""
    particular = {*TERMS.values(), *(card.module for card in DYNAMICS.values())}
    for file, path in FILES.items():
        if file.startswith("training/") and dotted(file) not in CLASSIFIERS.values():
            assert not particular & set(library_imports(path)), file


@pytest.mark.parametrize("package", sorted({file.rpartition("/")[0] for file in FILES} - {""}))
def test_packages_import_nothing_of_themselves(package):
    assert not imports(LIBRARY / package / "__init__.py")


@pytest.mark.parametrize("module", light_modules())
def test_what_figures_and_configs_need_names_neither_jax_nor_openmm(module):
    for file in closure([module]):
        heavy = HEAVY & {name.partition(".")[0] for name in imports(file)}
        assert not heavy, f"{file.name}, which {module} rests on, imports {heavy}"


def test_what_figures_and_configs_need_works_where_there_is_neither_jax_nor_openmm():
    """MDTraj takes OpenMM's units where they are, and does without them."""
    code = (
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(HEAVY)}))\n"
        "for name in sys.argv[1:]: importlib.import_module(name)"
    )
    subprocess.run(
        [sys.executable, "-c", code, "dynmatch", *light_modules()],
        env={"PYTHONPATH": str(LIBRARY.parent)},
        check=True,
    )
