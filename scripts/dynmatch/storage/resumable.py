"""Loops that can be killed and go on: what they left in numbered parts, as far as it is sound."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

Part = TypeVar("Part")


def sound_parts(paths: Iterable[Path], read: Callable[[Path], Part | None]) -> Iterator[Part]:
    """What `read` finds in each of the parts, from the first on, up to one that is missing or in
    which it finds None: nothing that came after a gap is gone on from."""
    for path in paths:
        part = read(path) if path.exists() else None
        if part is None:
            return
        yield part
