"""What a LAMMPS dump says of itself and MDTraj does not pass on: time steps, scaled coordinates."""

import gzip
from itertools import pairwise
from pathlib import Path

from dynmatch.errors import DynmatchError

SUFFIXES = (".lammpstrj", ".lammpstrj.gz")
STEP, ATOMS = "ITEM: TIMESTEP", "ITEM: ATOMS"


def is_dump(path: Path) -> bool:
    return str(path).lower().endswith(SUFFIXES)


def is_scaled(path: Path) -> bool:
    """Whether coordinates are in units of the box, as LAMMPS writes them by itself (xs ys zs)."""
    with _opened(path) as lines:
        for line in lines:
            if line.startswith(ATOMS):
                columns = line.split()[2:]
                return "x" not in columns and "xs" in columns
    return False


def check_steps(path: Path) -> None:
    """Raise DynmatchError where frames are missing or repeated, as at a restart."""
    steps = []
    with _opened(path) as lines:
        for line in lines:
            if line.startswith(STEP):
                steps.append(int(next(lines)))
    for number, (before, after) in enumerate(pairwise(steps)):
        if after - before != steps[1] - steps[0]:
            raise DynmatchError(
                f"{path}: frames are missing or repeated after TIMESTEP {before} (frame {number}), "
                f"which {after} follows; leave out what is double, or give the parts as files of "
                "their own"
            )


def _opened(path: Path):
    return gzip.open(path, "rt") if path.suffix == ".gz" else open(path, encoding="utf-8")
