"""What an edited file of the library reruns, told from the inputs of jobs: none is run here."""

import pytest

from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.observables.registry import ANALYSES
from dynmatch.plotting.registry import FIGURES
from dynmatch.runtime.source_closure import LIBRARY, closure
from dynmatch.systems.registry import SYSTEMS, card_of
from tests.helpers.jobs import Job, all_jobs, jobs_of, jobs_with

LIQUIDS = ("water", "known_bd", "known_ld", "methanol")
core = pytest.mark.xfail(strict=True, reason="training imports all dynamics and all potentials")


def rerun_by(path: str) -> list[Job]:
    """The jobs that rest on a file below scripts/dynmatch, or on a file of this folder."""
    assert (LIBRARY / path).exists()
    return [job for job in all_jobs() if any(f"dynmatch/{path}" in name for name in job.code)]


def systems_of(jobs: list[Job]) -> set[str]:
    return {job.wildcards["system"] for job in jobs if "system" in job.wildcards}


@pytest.mark.parametrize("file", ["build.py", "checks.py", "projection.py"])
def test_the_builder_of_a_molecule_reruns_nothing_of_a_liquid(file):
    assert systems_of(rerun_by(f"systems/molecule/{file}")) == {"dipeptide"}


@pytest.mark.parametrize("file", ["box.py", "checks.py", "projection.py"])
def test_water_reruns_nothing_of_a_molecule_or_a_trajectory_of_ones_own(file):
    assert systems_of(rerun_by(f"systems/water/{file}")) == {"water"}


def test_all_atom_simulation_reruns_what_is_simulated_with_all_atoms():
    assert systems_of(rerun_by("systems/all_atom/simulation.py")) == {"water", "dipeptide"}


def test_cards_and_checks_of_the_config_rerun_nothing():
    """What they say reaches a job through its parameters."""
    for path in ["systems/base.py", "systems/registry.py", "systems/liquid.py"]:
        assert rerun_by(path) == []
    for name in SYSTEMS.values():
        assert rerun_by(name.partition(".")[2].replace(".", "/") + ".py") == []
    for path in ("config.py", "schema.py", "conflicts.py", "messages.py", "devices.py"):
        assert rerun_by(f"workflow/{path}") == []


def test_a_new_observable_or_figure_trains_and_simulates_nothing():
    """The registries are edited for it."""
    analysed = {"reference_observables", "molecule_reference_observables"}
    analysed |= {"observables", "molecule_observables", "summary", "figure"}
    found = {job.rule for job in rerun_by("observables/registry.py")}
    assert found == analysed
    assert {job.rule for job in rerun_by("plotting/registry.py")} == {"figure"}


def test_a_new_dynamics_simulates_and_projects_no_atoms():
    """Registry and settings are edited for it."""
    with_atoms = {"reference", "projection", "molecule_reference", "molecule_projection"}
    for path in ("settings.py", "dynamics/registry.py"):
        assert not {job.rule for job in rerun_by(path)} & {*with_atoms, "own_projection"}


@pytest.mark.parametrize("module", sorted({card.module for card in FIGURES.values()}))
def test_a_figure_is_drawn_again_with_what_it_rests_on(module):
    path = module.partition(".")[2].replace(".", "/") + ".py"
    found = {job.wildcards["figure"] for job in rerun_by(path) if job.rule == "figure"}
    drawn = {
        name
        for name, card in FIGURES.items()
        if LIBRARY / path in closure([card.module, "dynmatch.plotting.figures"])
    }
    assert found == drawn


def test_torsions_are_looked_at_for_molecules_alone():
    for path in ("observables/torsions.py", "plotting/torsions.py"):
        found = [job for job in rerun_by(path) if job.rule != "summary"]
        assert systems_of(found) == {"dipeptide"}
    assert "dipeptide" not in systems_of(rerun_by("observables/adf.py"))


@core
def test_an_integrator_retrains_the_models_it_moves():
    assert [job.wildcards["model"] for job in rerun_by("dynamics/brownian.py")]
    for name in DYNAMICS:
        others = {DYNAMICS[other].module for other in DYNAMICS if other != name}
        for job in jobs_of("training", model=name):
            assert not others & modules(job)


@core
def test_a_torsional_term_retrains_no_liquid():
    for path in ("potentials/torsional.py", "training/classifiers/molecule.py"):
        trained = [job for job in rerun_by(path) if job.rule == "training"]
        assert systems_of(trained) == {"dipeptide"}


@core
def test_a_pair_term_retrains_no_molecule():
    trained = [job for job in rerun_by("potentials/pair.py") if job.rule == "training"]
    assert systems_of(trained) == set(LIQUIDS)


def modules(job: Job) -> set[str]:
    """Dotted names of the library's files among its inputs."""
    return {name.removesuffix(".py").replace("/", ".") for name in job.code}


NOT_YET = {
    "dynmatch.dynamics.brownian",
    "dynmatch.dynamics.langevin",
    "dynmatch.potentials.pair",
    "dynmatch.potentials.three_body",
}
"""Modules that registries name and the core has not made yet."""


def test_every_module_that_a_registry_names_is_there():
    """A rule asks for those that are, and would not miss the others."""
    named = {card.module for card in DYNAMICS.values()} | {card.module for card in FIGURES.values()}
    for kind in SYSTEMS:
        named.update(card_of(kind).modules)
    for analysis in ANALYSES.values():
        named.update((*analysis.modules, *analysis.comparing_modules))
    missing = {name for name in named if not closure([name])}
    assert missing == NOT_YET


@pytest.mark.parametrize("rule", ["training", "validation", "export"])
def test_models_rest_on_their_own_dynamics_and_on_the_terms_of_their_system(rule):
    for job in jobs_of(rule):
        model = job.wildcards["model"]
        dynamics = next(name for name in DYNAMICS if name in model.split("_"))
        needed = {DYNAMICS[dynamics].module, *card_of_system(job.wildcards["system"]).modules}
        assert needed - NOT_YET <= modules(job)


def card_of_system(name: str):
    kinds = {"dipeptide": "molecule", "methanol": "trajectory", "water": "water"}
    return card_of(kinds.get(name, "known"))


def test_the_simulation_of_a_molecule_names_its_solvent():
    """It is not implicit wherever it is simulated."""
    (job,) = jobs_of("molecule_reference")
    assert job.message == "Simulating dipeptide with all its atoms in obc2"
    assert len(jobs_with("dipeptide")) > 10
