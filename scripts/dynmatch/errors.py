"""The one exception that carries a message meant for the user."""


class DynmatchError(Exception):
    """A condition the user can mend: the message names the key or file and what would be right."""
