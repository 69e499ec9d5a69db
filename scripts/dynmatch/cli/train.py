"""`dynmatch train`: a training without the workflow."""

import argparse
from pathlib import Path

from dynmatch.cli.main import add_device
from dynmatch.dynamics.registry import DYNAMICS
from dynmatch.errors import DynmatchError, told
from dynmatch.settings import MoleculePotentialSettings, PotentialSettings, TrainingSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trajectory", type=Path, help="of the sites, as projected.h5")
    parser.add_argument("folder", type=Path, help="for model.yaml, model.npz and history.csv")
    parser.add_argument("--dynamics", choices=DYNAMICS, default="ld", help="default: ld")
    parser.add_argument("--temperature", type=float, required=True, help="K")
    parser.add_argument(
        "--settings",
        type=Path,
        help="YAML file with the sections `potential` and `training` of a system's config",
    )
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    add_device(parser)


def run(arguments: argparse.Namespace) -> None:
    """A killed training continues from folder/checkpoint when it is started again."""
    import shutil

    from dynmatch.runtime.jax_setup import configure

    configure(arguments.device, arguments.threads)
    # imported here: JAX reads its settings when it is imported
    import pandas as pd

    from dynmatch.model_file import save
    from dynmatch.sites.trajectory import read
    from dynmatch.storage.atomic import replacing
    from dynmatch.training.train import train

    trajectory = read(arguments.trajectory, velocities=False, forces=False)
    potential, training = settings_of(arguments.settings, in_box=trajectory.box is not None)
    checkpoint = arguments.folder / "checkpoint"
    trained = train(
        trajectory,
        arguments.dynamics,
        arguments.temperature,
        potential,
        training,
        arguments.seed,
        checkpoint,
    )
    with replacing(arguments.folder / "history.csv") as path:
        pd.DataFrame(trained.history).to_csv(path, index=False, float_format="%.8g")
    record = {"seed": arguments.seed, "status": trained.status, "updates": len(trained.history)}
    model = arguments.folder / "model.yaml"
    save(model, model.with_suffix(".npz"), trained.model, trajectory.topology, record)
    shutil.rmtree(checkpoint, ignore_errors=True)
    print(f"{model}: {trained.status}, {len(trained.history)} updates")


def settings_of(
    path: Path | None, in_box: bool
) -> tuple[PotentialSettings | MoleculePotentialSettings, TrainingSettings]:
    """Those of a YAML file, in the words of the config; the defaults where it is silent.

    Raises DynmatchError, naming the file, where it cannot be read or has a key that is unknown.
    """
    import yaml

    form = PotentialSettings if in_box else MoleculePotentialSettings
    try:
        sections = yaml.safe_load(path.read_text(encoding="utf-8")) if path else {}
        if unknown := set(sections) - {"potential", "training"}:
            raise DynmatchError(
                f"{path}: {', '.join(sorted(unknown))} is none of the sections potential, training"
            )
        return (
            form.of(sections.get("potential", {})),
            TrainingSettings.of(sections.get("training", {})),
        )
    except (OSError, yaml.YAMLError, TypeError, AttributeError) as error:
        raise DynmatchError(f"{path}: no settings of a training: {told(error)}") from error
