"""The all-atom reference of a liquid: produced, judged, and written."""

import logging
from pathlib import Path

from dynmatch.storage.atomic import replacing
from dynmatch.systems.all_atom.base import Cube
from dynmatch.systems.all_atom.liquid_checks import assess, require_sound
from dynmatch.systems.all_atom.simulation import (
    ReferenceSettings,
    assemble,
    produce,
    segments,
    write_box,
)


def make_reference(
    box: Cube,
    settings: ReferenceSettings,
    folder: Path,
    *,
    system: str | Path,
    topology: str | Path,
    trajectory: str | Path,
    quality: str | Path,
) -> None:
    """Simulate what `folder`, of the segments, lacks, and write OpenMM's system (XML), topology
    (PDB), trajectory (HDF5) and quality (CSV).

    Raises DynmatchError as `simulation.produce` does, and for a production that is not sound.
    """
    paths = produce(box, settings, folder)
    table = assess(segments(paths, box, settings), box, settings)
    logging.info("all-atom reference:\n%s", table.to_string(index=False))
    require_sound(table, settings)
    first = next(segments(paths, box, settings)[0])
    write_box(box, first.positions[0], system, topology)
    assemble(segments(paths, box, settings), box, settings, trajectory)
    with replacing(quality) as temporary:
        table.to_csv(temporary, index=False)
