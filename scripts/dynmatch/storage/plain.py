"""Forms, frozen dataclasses of tuples, as plain lists and values for YAML, and back."""

from dataclasses import asdict


def record_of(form) -> dict:
    """The fields of a form, in lists where it has tuples."""
    return _lists(asdict(form))


def _lists(value):
    if isinstance(value, dict):
        return {key: _lists(below) for key, below in value.items()}
    return [_lists(below) for below in value] if isinstance(value, list | tuple) else value


def tuples(value):
    """A value read from a record, in tuples where it has lists."""
    return tuple(map(tuples, value)) if isinstance(value, list | tuple) else value
