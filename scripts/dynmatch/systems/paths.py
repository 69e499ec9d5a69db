"""Paths as users write them: ~ for the home folder, {1..4} for a range, and a shell's * and ?."""

import glob
import math
import os
import re
from collections.abc import Sequence
from itertools import product

from dynmatch.errors import DynmatchError
from dynmatch.systems.base import Section

RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MANY = 100_000
"""Paths that one pattern may stand for."""


def with_files(system: Section, keys: Sequence[str]) -> Section:
    """A section with the files that the patterns at `keys` of its reference stand for.

    Raises DynmatchError, naming the key, where no file fits, or several do where one is asked for,
    where one comes twice, or Snakemake could not take the path.
    """
    reference = dict(system["reference"])
    for key in keys:
        given = reference[key]
        try:
            several = [path for each in _list(given) for path in expanded(each)]
        except DynmatchError as error:
            raise DynmatchError(f"reference.{key}: {error}") from None
        if strange := [path for path in several if not path.isprintable()]:
            raise DynmatchError(
                f"reference.{key}: {strange[0]!r} is no path: it has control characters"
            )
        braces = [path for path in several if re.search(r"[{}]", path)]
        if braces:
            raise DynmatchError(
                f"reference.{key}: {braces[0]} has braces, which are wildcards to Snakemake; give "
                "the file another name, or a link to it"
            )
        if isinstance(given, str) and len(several) > 1:
            raise DynmatchError(f"reference.{key}: {len(several)} files fit {given}")
        _refuse_twice(several, f"reference.{key}")
        reference[key] = several[0] if isinstance(given, str) else several
    return {**system, "reference": reference}


def _refuse_twice(paths: Sequence[str], key: str) -> None:
    """Raise DynmatchError where two of the paths are one file, by links of either kind."""
    files: dict[str | tuple[int, int], str] = {}
    for path in paths:
        try:
            status = os.stat(path)
            file = status.st_dev, status.st_ino
        except OSError:
            file = os.path.realpath(path)
        known = files.setdefault(file, path)
        if known is not path:
            raise DynmatchError(
                f"{key}: {known} and {path} are one file; each file is a run of its own, give it "
                "once"
            )


def _list(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given


def expanded(pattern: str) -> list[str]:
    """The paths that a pattern stands for, those found by * in the order of their numbers; a path
    without any is itself, whether it is there or not.

    Raises DynmatchError for a pattern that no file fits.
    """
    path = os.path.expanduser(pattern)
    if os.path.exists(path):
        return [path]
    found = [each for one in _ranges(path) for each in _matches(one)]
    if not found:
        raise DynmatchError(f"no file fits {pattern}")
    return found


def _ranges(path: str) -> list[str]:
    pieces = RANGE.split(path)
    ends = list(zip(pieces[1::3], pieces[2::3], strict=True))
    counts = [abs(int(last) - int(first)) + 1 for first, last in ends]
    if math.prod(counts) > MANY:
        raise DynmatchError(f"{path}: ranges of more than {MANY} numbers")
    numbers = [
        [f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)] for first, last in ends
    ]
    texts = pieces[::3]
    return [
        "".join(text + number for text, number in zip(texts, [*chosen, ""], strict=True))
        for chosen in product(*numbers)
    ]


def _matches(path: str) -> list[str]:
    return sorted(glob.glob(path), key=_by_number) if glob.has_magic(path) else [path]


def _by_number(path: str) -> list:
    return [
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path)
    ]
