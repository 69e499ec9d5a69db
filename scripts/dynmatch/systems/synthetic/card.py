"""A fluid of known parameters, as the workflow knows it."""

from collections.abc import Iterator

from dynmatch.dynamics.registry import card_of
from dynmatch.systems import costs, liquid
from dynmatch.systems.base import Section, System
from dynmatch.units import BOLTZMANN

MODES = {
    "exponentials": ("exponential_strength_per_ps2", "exponential_time_ps"),
    "cosines": ("cosine_strength_per_ps2", "cosine_rate_per_ps", "cosine_frequency_rad_per_ps"),
}
"""Columns of the modes of a memory, as model files call them, in the order of the config."""


def sites(system: Section) -> int:
    return system["reference"]["sites"]


def seconds(system: Section) -> float:
    reference = system["reference"]
    replicas, length = reference["replicas"], reference["length"] + reference["equilibration"]
    return replicas * length / reference["time_step"] * sites(system) / costs.VALIDATION_RATE


def edge(system: Section) -> float:
    return (sites(system) / system["reference"]["density"]) ** (1 / 3)


def conflicts(system: Section) -> Iterator[str]:
    return liquid.conflicts(system, edge(system), sites(system))


def dynamics(system: Section, models: list[str]) -> list[str]:
    """Those of the reference, whatever the run trains."""
    return [system["reference"]["dynamics"]]


def truth(system: Section) -> dict[str, float | list[float]]:
    """A reference without velocities has no mass; memory adds its integral to the friction, and its
    modes are columns of their own."""
    reference = system["reference"]
    memory = sum(strength * time for strength, time in reference["exponentials"])
    memory += sum(c * rate / (rate**2 + w**2) for c, rate, w in reference["cosines"])
    gamma = reference["gamma"] + reference["mass"] * memory
    known = {
        "d0_nm2_per_ps": BOLTZMANN * system["temperature"] / gamma,
        "gamma_over_alpha": gamma,
    }
    if card_of(reference["dynamics"]).velocities:
        known["mass_over_alpha2"] = reference["mass"]
    if card_of(reference["dynamics"]).memory:
        known |= {"white_friction_amu_per_ps": reference["gamma"], "mass_amu": reference["mass"]}
        for modes, columns in MODES.items():
            known |= {
                name: [mode[k] for mode in reference[modes]] for k, name in enumerate(columns)
            }
    return known


CARD = System(
    label="truth",
    analysis="liquid",
    potential="dynmatch.settings.PotentialSettings",
    terms=("pair", "three_body"),
    classifier="neighbours",
    sites=sites,
    seconds=seconds,
    edge=edge,
    conflicts=conflicts,
    dynamics=dynamics,
    truth=truth,
)
