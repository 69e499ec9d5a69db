"""Kinds of systems by name.

Names stand here, not imports: a kind's card is loaded when it is asked for. To add a kind, see
docs/extending.md.
"""

import importlib

from dynmatch.errors import DynmatchError
from dynmatch.systems.base import System

SYSTEMS = {
    "water": "dynmatch.systems.water.card",
    "liquid": "dynmatch.systems.molecular_liquid.card",
    "known": "dynmatch.systems.synthetic.card",
    "molecule": "dynmatch.systems.molecule.card",
    "trajectory": "dynmatch.systems.trajectory.card",
}
"""Kind of a system -> the dotted name of the module that has its CARD. Each kind has a schema,
schemas/systems/{kind}.yaml, and rules, rules/systems/{kind}.smk."""


def card_of(kind: str) -> System:
    """The card of a kind of system.

    Raises DynmatchError, with the kinds that there are, for any other.
    """
    if kind not in SYSTEMS:
        raise DynmatchError(f"kind {kind!r} of a system is unknown; there are {', '.join(SYSTEMS)}")
    return importlib.import_module(SYSTEMS[kind]).CARD
