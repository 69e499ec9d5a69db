"""What an edited file of the library reruns, told from the inputs of jobs: none is run here."""

import pytest

from dynmatch.dynamics.registry import DYNAMICS, dynamics_of
from dynmatch.export.registry import ENGINES
from dynmatch.observables.registry import ANALYSES
from dynmatch.plotting.registry import FIGURES
from dynmatch.potentials.registry import TERMS
from dynmatch.runtime.source_closure import LIBRARY, closure
from dynmatch.systems.registry import SYSTEMS, card_of
from dynmatch.training.classifiers.registry import CLASSIFIERS
from tests.helpers.jobs import Job, all_jobs, jobs_of

CARDS = {
    "water": card_of("water"),
    "known_bd": card_of("known"),
    "known_ld": card_of("known"),
    "methanol": card_of("trajectory"),
    "hexane": card_of("liquid"),
    "dipeptide": card_of("molecule"),
}
LIQUIDS = set(CARDS) - {"dipeptide"}


def rerun_by(path: str) -> list[Job]:
    """The jobs that rest on a file below scripts/dynmatch, or on a file of this folder."""
    assert (LIBRARY / path).exists()
    return [job for job in all_jobs() if any(f"dynmatch/{path}" in name for name in job.code)]


def systems_of(jobs: list[Job]) -> set[str]:
    return {job.wildcards["system"] for job in jobs if "system" in job.wildcards}


@pytest.mark.parametrize("file", ["build.py", "checks.py"])
def test_the_builder_of_a_molecule_reruns_nothing_of_a_liquid(file):
    assert systems_of(rerun_by(f"systems/molecule/{file}")) == {"dipeptide"}


@pytest.mark.parametrize("file", ["box.py", "projection.py"])
def test_water_reruns_nothing_of_a_molecule_or_a_trajectory_of_ones_own(file):
    assert systems_of(rerun_by(f"systems/water/{file}")) == {"water"}


def test_all_atom_simulation_reruns_what_is_simulated_with_all_atoms():
    assert systems_of(rerun_by("systems/all_atom/simulation.py")) == {
        "water",
        "dipeptide",
        "hexane",
    }


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
    analysed |= {"training_part_observables", "molecule_training_part_observables"}
    # the record holds the summary as a page
    analysed |= {"observables", "molecule_observables", "summary", "figure", "record"}
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


def test_an_integrator_retrains_the_models_it_moves():
    """Langevin dynamics makes the structural start of a liquid of whatever model, too."""
    for path, model in (("brownian", "bd"), ("memory", "gle")):
        trained = [job for job in rerun_by(f"dynamics/{path}.py") if job.rule == "training"]
        assert {job.wildcards["model"] for job in trained} == {model}
    trained = [job for job in rerun_by("dynamics/langevin.py") if job.rule == "training"]
    assert {("dipeptide", "ld"), ("known_bd", "bd")} <= {
        (job.wildcards["system"], job.wildcards["model"]) for job in trained
    }


def test_a_torsional_term_retrains_no_liquid():
    for path in ("potentials/torsional.py", "training/classifiers/torsions.py"):
        trained = [job for job in rerun_by(path) if job.rule == "training"]
        assert systems_of(trained) == {"dipeptide"}


def test_a_term_of_liquids_retrains_no_molecule():
    for path in ("potentials/pair.py", "potentials/three_body.py"):
        trained = [job for job in rerun_by(path) if job.rule in ("training", "validation")]
        assert systems_of(trained) == LIQUIDS


def test_a_classifier_exports_and_simulates_nothing():
    """Of itself: they follow where the model that it trains has changed."""
    assert {job.rule for job in rerun_by("training/classifiers/neighbours.py")} == {
        "training",
        "baseline",
    }


def test_every_module_that_a_registry_names_is_there():
    """A rule asks for those that are, and would not miss the others."""
    names = {card.module for card in DYNAMICS.values()} | {card.module for card in FIGURES.values()}
    names.update(TERMS.values(), CLASSIFIERS.values(), ENGINES.values(), SYSTEMS.values())
    for analysis in ANALYSES.values():
        names.update((*analysis.modules, *analysis.comparing_modules))
    assert [name for name in names if not closure([name])] == []


@pytest.mark.parametrize("rule", ["training", "validation", "export"])
def test_models_rest_on_their_own_dynamics_and_on_the_terms_of_their_system(rule):
    for job in jobs_of(rule):
        card = CARDS[job.wildcards["system"]]
        dynamics = DYNAMICS[dynamics_of(job.wildcards["model"])].module
        modules = {name.removesuffix(".py").replace("/", ".") for name in job.code}
        assert {dynamics, *(TERMS[term] for term in card.terms)} <= modules
        others = {TERMS[term] for term in set(TERMS) - set(card.terms)}
        assert rule != "validation" or not others & modules


def test_the_simulation_of_a_molecule_names_its_solvent():
    """It is not implicit wherever it is simulated."""
    (job,) = jobs_of("molecule_reference")
    assert job.message == "Simulating dipeptide with all its atoms in obc2"
