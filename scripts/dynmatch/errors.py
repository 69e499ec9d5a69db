"""The one exception that carries a message meant for the user."""


class DynmatchError(Exception):
    """A condition the user can mend: the message names the key or file and what would be right."""


def told(error: BaseException) -> str:
    """What an error of another library says, in one line; its kind where it says nothing."""
    text = str(error).rpartition("End of HDF5 error back trace")[2]
    return " ".join(text.split()) or type(error).__name__
