"""How long a run takes, told before its first job."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dynmatch.dynamics.registry import dynamics_of
from dynmatch.settings import TrainingSettings
from dynmatch.systems import costs
from dynmatch.systems.registry import card_of

STAGES = ("reference", "training", "baselines", "validation", "observables", "figures")
OF_ITS_OWN = "reference/observables/msd.csv"
"""What there is of the reference when all that is made of it is done."""


@dataclass(frozen=True)
class Work:
    """What a job, or a few that follow one another, takes.

    stage    one of STAGES
    file     below the folder of the run: it is there when the work is done
    seconds  of one core
    width    cores that it uses
    """

    stage: str
    file: str
    seconds: float
    width: int = 1


def work_of(name: str, system: Mapping[str, Any], runs: Iterable[tuple[str, int]]) -> list[Work]:
    """Of a system in the completed config with these models, by name and seed; without figures.

    Nothing is known of trajectories of the user's own before they are read.
    """
    card = card_of(system["kind"])
    sites, edge, made = card.sites(system), card.edge(system), card.seconds(system)
    if sites is None or made is None:
        return []
    density = sites / edge**3 if math.isfinite(edge) else None
    width = system["reference"].get("threads", 1)
    found = [Work("reference", f"{name}/{OF_ITS_OWN}", made, width)]
    for model, seed in runs:
        folder, moved = f"{name}/{model}/seed-{seed}", dynamics_of(model)
        training = costs.COMPILATION + costs.of_training(system, moved, sites, density)
        settings = TrainingSettings.of(system["training"])
        time_step = getattr(settings, moved).time_step
        validation = costs.COMPILATION + costs.of_validation(system, time_step, sites, density)
        found += [
            Work("training" if model == moved else "baselines", f"{folder}/model.yaml", training),
            Work("validation", f"{folder}/trajectory.h5", validation),
            Work(
                "observables", f"{folder}/observables/msd.csv", costs.of_observables(system, sites)
            ),
        ]
    return found


def minutes(work: Sequence[Work], cores: int, slowness: float) -> dict[str, float]:
    """Of each stage with any work, where its jobs share so many cores."""
    found = {}
    for stage in STAGES:
        own = [each for each in work if each.stage == stage]
        if own:
            side_by_side = min(cores, sum(each.width for each in own))
            shared = sum(each.seconds for each in own) / side_by_side
            longest = max(each.seconds / min(each.width, cores) for each in own)
            found[stage] = max(shared, longest) * slowness / 60
    return found


def told(work: Sequence[Work], cores: int, slowness: float, unknown: Sequence[str] = ()) -> str:
    """One line, none where nothing is left; `unknown` are systems of which nothing is known."""
    stages = minutes(work, cores, slowness)
    if not stages:
        return ""
    each = ", ".join(f"{stage} {_shown(time)}" for stage, time in stages.items())
    line = f"Estimated time on this machine, {cores} core{'s' * (cores > 1)}, within a factor of "
    line += f"two: {each}; {_shown(sum(stages.values()))} in all."
    if unknown:
        line += f" Not known: {', '.join(unknown)}; `dynmatch check` reads the files."
    return line


def _shown(time: float) -> str:
    if time < 1:
        return f"{max(1, round(60 * time))} s"
    if time >= 120:
        return f"{time / 60:.1f} h"
    return f"{time:.0f} min" if time >= 10 else f"{time:.2g} min"
