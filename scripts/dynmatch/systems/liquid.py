"""What systems of many molecules have in common: keys of their configs that exclude each other."""

import math
from collections.abc import Iterator

from dynmatch.systems.base import Section, values_at

NEAR = 0.7
"""Of the mean distance (volume of a site)^(1/3): where neighbours begin in a dense liquid."""
BY_RESIDUE = "one site per residue, at its centre of mass"
"""The mapping where a config gives none."""
FRAMES = ("reference.frame_spacing", "validation.frame_spacing")


def conflicts(system: Section, edge: float, sites: int | None = None) -> Iterator[str]:
    """Lengths that a box with this edge (nm) does not hold, or that see nothing of `sites` in it,
    and lags that hold too few frames."""
    yield from _too_far(system, edge / 2)
    if sites:
        yield from _too_near(system, edge / sites ** (1 / 3))
    yield from _too_wide(system)
    yield from _too_few_frames(system)


def _too_far(system: Section, half: float) -> Iterator[str]:
    """Distances (nm) beyond half the box."""
    for key in ("reference.cutoff", "potential.cutoff", "observables.shell_cutoff"):
        for _, distance in values_at(system, key):
            if distance > half:
                yield (
                    f"{key} is {distance:g} nm, beyond half the box; take at most "
                    f"{math.floor(half * 1000) / 1000} nm, or a larger box by more molecules or "
                    "sites"
                )
    potential = system["potential"]
    if potential["three_body_cutoff"] > potential["cutoff"]:
        yield (
            f"potential.three_body_cutoff is {potential['three_body_cutoff']:g} nm; it must be at "
            f"most potential.cutoff, {potential['cutoff']:g} nm"
        )


def _too_near(system: Section, spacing: float) -> Iterator[str]:
    """A potential that ends before the nearest neighbour begins."""
    for _, distance in values_at(system, "potential.cutoff"):
        if distance < NEAR * spacing:
            yield (
                f"potential.cutoff is {distance:g} nm; it must be at least {NEAR * spacing:.2g} "
                "nm, or neighbours are beyond it"
            )


def _too_wide(system: Section) -> Iterator[str]:
    """Bins of g(r) in which the potential's start cannot be seen."""
    cutoff = system["potential"]["cutoff"]
    for _, width in values_at(system, "observables.rdf_bin"):
        if width > cutoff / 10:
            yield (
                f"observables.rdf_bin is {width:g} nm; it must be at most a tenth of "
                f"potential.cutoff, {cutoff / 10:g} nm"
            )


def _too_few_frames(system: Section) -> Iterator[str]:
    """Lengths of observables that hold too few frames for what is made of them."""
    longest = max(system["reference"].get("length", 0.0), system["validation"]["length"])
    msd_length = system["observables"]["msd_length"]
    if msd_length < longest / 10:
        yield (
            f"observables.msd_length is {msd_length:g} ps; D is fitted up to a tenth of a replica, "
            f"so that it must be at least {longest / 10:g} ps"
        )
    for key in FRAMES:
        ((_, spacing),) = values_at(system, key)
        if system["observables"]["vacf_length"] < spacing:
            yield (
                f"observables.vacf_length is {system['observables']['vacf_length']:g} ps; it must "
                f"be at least {key}, {spacing:g} ps"
            )
