"""Terms of potentials by name.

Names stand here, not imports: a rule reruns with the terms that its model has, and with no other.
To add one, see docs/extending.md.
"""

import importlib

from dynmatch.errors import DynmatchError

TERMS = {
    "pair": "dynmatch.potentials.pair",
    "three_body": "dynmatch.potentials.three_body",
    "bonded": "dynmatch.potentials.bonded",
    "torsional": "dynmatch.potentials.torsional",
}
"""Kind of a term -> the dotted name of its module, which has a class `Form` (`base.Term`)."""


def form_of(kind: str) -> type:
    """The class of the terms of that kind.

    Raises DynmatchError, with the kinds that there are, for any other.
    """
    if kind not in TERMS:
        raise DynmatchError(f"term {kind!r} of a potential is unknown; there are {list(TERMS)}")
    return importlib.import_module(TERMS[kind]).Form
