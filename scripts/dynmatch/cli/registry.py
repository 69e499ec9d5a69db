"""Subcommands of `dynmatch` by name: the dotted names of their modules, and one line of help.

Each module has `add_arguments(parser)`, which imports nothing heavy, and `run(arguments)`, which
raises DynmatchError for what the user can mend.
"""

COMMANDS = {
    "new": ("dynmatch.cli.new", "look at trajectories of your own and write a config for them"),
    "check": ("dynmatch.cli.check", "look at a config and its files before anything runs"),
    "train": ("dynmatch.cli.train", "train a model on a trajectory of sites"),
    "simulate": ("dynmatch.cli.simulate", "run a trained model"),
    "export": ("dynmatch.cli.export", "write a trained model for another engine"),
    "info": ("dynmatch.cli.info", "say what a model or a trajectory file holds"),
}
