"""Classifiers by the name that terms of a potential call them by (`Term.sees`). Names, not imports:
a rule reruns with the classifier that its system has, and with no other."""

import importlib

CLASSIFIERS = {
    "neighbours": "dynmatch.training.classifiers.neighbours",
    "torsions": "dynmatch.training.classifiers.torsions",
}
"""Name -> the dotted name of its module, which has a class `Form` (`base.Form`)."""


def form_of(name: str) -> type:
    """The class of the classifier of that name."""
    return importlib.import_module(CLASSIFIERS[name]).Form
