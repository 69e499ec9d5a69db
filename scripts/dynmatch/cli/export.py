"""`dynmatch export`: a trained model as files of another engine."""

import argparse
from pathlib import Path

from dynmatch.export.registry import ENGINES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model", type=Path, help="model.yaml, with model.npz beside it")
    parser.add_argument("start", type=Path, help="trajectory of sites; its last frame is written")
    parser.add_argument("folder", type=Path, help="for the files")


def run(arguments: argparse.Namespace) -> None:
    import importlib

    from dynmatch.runtime.jax_setup import configure

    configure("cpu", 1)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.model_file import load
    from dynmatch.sites.trajectory import read

    engine = importlib.import_module(ENGINES[arguments.engine])
    start = read(arguments.start, velocities=False, forces=False)
    for path in engine.write(
        arguments.folder, load(arguments.model), start, arguments.model.parent.name
    ):
        print(path)
