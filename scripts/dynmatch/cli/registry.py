"""Subcommands of `dynmatch` by name: the dotted names of their modules, and one line of help.

Each module has `add_arguments(parser)`, which imports nothing heavy, and `run(arguments)`, which
raises DynmatchError for what the user can mend.
"""

COMMANDS = {
    "train": ("dynmatch.cli.train", "train a model on a trajectory of sites"),
    "simulate": ("dynmatch.cli.simulate", "run a trained model"),
    "export": ("dynmatch.cli.export", "write a trained model for another engine"),
    "info": ("dynmatch.cli.info", "say what a model or a trajectory file holds"),
}
