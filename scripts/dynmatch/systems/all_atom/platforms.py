"""OpenMM contexts on a platform that the user names."""

import openmm

from dynmatch.errors import DynmatchError, told


def make_context(
    system: openmm.System,
    integrator: openmm.Integrator,
    platform: str,
    threads: int,
    where: str = "reference",
) -> openmm.Context:
    """An OpenMM context on a platform of that name, `threads` CPU threads where they matter.

    Raises DynmatchError, listing the platforms that were found, when it cannot be had.
    """
    count = openmm.Platform.getNumPlatforms()
    found = [openmm.Platform.getPlatform(index).getName() for index in range(count)]
    message = f"{where}.platform: {platform} is not available here; found {', '.join(found)}"
    if platform not in found:
        raise DynmatchError(message)
    properties = {
        # without it, OpenMM's Ewald sum runs on all cores and adds up in whatever order they finish
        "CPU": {"Threads": str(threads), "DeterministicForces": "true"},
        "CUDA": {"Precision": "mixed"},
        "OpenCL": {"Precision": "mixed"},
    }.get(platform, {})
    try:
        return openmm.Context(
            system, integrator, openmm.Platform.getPlatformByName(platform), properties
        )
    except openmm.OpenMMException as error:
        raise DynmatchError(f"{message}, but it does not start: {told(error)}") from error
