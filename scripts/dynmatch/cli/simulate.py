"""`dynmatch simulate`: trajectories of a trained model."""

import argparse
from pathlib import Path

from dynmatch.cli.main import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="model.yaml, with model.npz beside it")
    parser.add_argument("start", type=Path, help="trajectory of sites to start from")
    parser.add_argument("output", type=Path, help="trajectory to write, HDF5 as MDTraj reads it")
    parser.add_argument("--length", type=float, required=True, help="of each replica, ps")
    parser.add_argument("--frame-spacing", type=float, required=True, help="ps")
    parser.add_argument("--equilibration", type=float, default=0.0, help="ps; default: 0")
    parser.add_argument("--replicas", type=int, default=1, help="default: 1")
    parser.add_argument("--copies", type=int, default=1, help="of the box, along each edge")
    parser.add_argument("--seed", type=int, default=1, help="default: 1")
    add_device(parser)


def run(arguments: argparse.Namespace) -> None:
    from dynmatch.runtime.jax_setup import configure

    configure(arguments.device, arguments.threads)
    # imported here: JAX reads its settings when it is imported
    from dynmatch.api import load_model
    from dynmatch.sites import trajectory

    made = load_model(arguments.model).simulate(
        trajectory.read(arguments.start, velocities=False, forces=False),
        length=arguments.length,
        frame_spacing=arguments.frame_spacing,
        equilibration=arguments.equilibration,
        replicas=arguments.replicas,
        copies=arguments.copies,
        seed=arguments.seed,
    )
    trajectory.write(arguments.output, made)
    print(f"{arguments.output}: {made.n_frames} frames of {made.n_sites} sites")
