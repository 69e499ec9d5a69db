"""Functions and classes by their dotted names, as registries hold them."""

import importlib
from typing import Any


def named(name: str) -> Any:
    """What a dotted name such as dynmatch.observables.rdf.rdf stands for; its module is imported.

    Raises ModuleNotFoundError or AttributeError where there is no such thing.
    """
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


def module_of(name: str) -> str:
    """The dotted name of the module of what a dotted name stands for."""
    return name.rpartition(".")[0]
