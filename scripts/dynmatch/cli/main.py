"""The entry point of the command `dynmatch`."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

import dynmatch
from dynmatch.cli.registry import COMMANDS
from dynmatch.errors import DynmatchError


def main(words: Sequence[str] | None = None) -> int:
    """Run the subcommand that `words` name, those of the command line where none are given.

    Returns the exit status: 1 after a DynmatchError, which is told on stderr in one line.
    """
    arguments = parser_for(list(sys.argv[1:] if words is None else words)).parse_args(words)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    try:
        arguments.run(arguments)
    except DynmatchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def parser_for(words: list[str]) -> argparse.ArgumentParser:
    """The parser, with the arguments of the one subcommand that `words` begin with: the modules of
    the others are not imported."""
    parser = argparse.ArgumentParser(
        prog="dynmatch",
        description="Coarse-grained molecular models trained on trajectories. Units: nm, ps, amu, "
        "kJ/mol, K.",
    )
    parser.add_argument("--version", action="version", version=f"dynmatch {dynmatch.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        each = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if words[:1] == [name]:
            command = importlib.import_module(module)
            command.add_arguments(each)
            each.set_defaults(run=command.run)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Arguments of the commands that compute with JAX."""
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="default: cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads; default: 1")
