"""`dynmatch info`: what a file of a model or a trajectory holds."""

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

DIGITS = 6
"""Significant digits of the numbers that are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="model.yaml of a model, or a trajectory of sites")


def run(arguments: argparse.Namespace) -> None:
    of = model_lines if arguments.file.suffix in (".yaml", ".yml") else trajectory_lines
    lines = of(arguments.file)
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:{width}}  {_shown(value)}")


def model_lines(path: Path) -> dict[str, Any]:
    """By the names of the file's own keys; of each type of sites where there are several."""
    import yaml

    from dynmatch.model_file import load

    model = load(path)
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    told = ("system", "seed", "status", "updates", "lags_ps", "dynmatch_version")
    lines = {key: document[key] for key in told if key in document}
    lines |= {
        "dynamics": model.equation.name,
        "temperature_k": model.temperature,
        "time_step_ps": model.time_step,
        "terms": ", ".join(term.kind for term in model.potential.terms),
    }
    names = model.potential.names
    for number, name in enumerate(names):
        columns = model.columns(number)
        lines |= {f"{name} {key}" if len(names) > 1 else key: columns[key] for key in columns}
    return lines


def trajectory_lines(path: Path) -> dict[str, Any]:
    from dynmatch.sites.trajectory import read

    trajectory = read(path)
    replicas = trajectory.replicas()
    types = Counter(trajectory.topology.names)
    return {
        "sites": trajectory.n_sites,
        "types": ", ".join(f"{count} {name}" for name, count in types.items()),
        "frames": trajectory.n_frames,
        "replicas": len(replicas),
        "frame_spacing_ps": trajectory.frame_spacing if trajectory.n_frames > 1 else "none",
        "length_ps": sum(float(each.time[-1] - each.time[0]) for each in replicas),
        "box_nm": "none" if trajectory.box is None else trajectory.box.tolist(),
        "mass_amu": float(trajectory.masses.sum()),
        "velocities": "no" if trajectory.velocities is None else "yes",
        "forces": "no" if trajectory.forces is None else "yes",
    }


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
