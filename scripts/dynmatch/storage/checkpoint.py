"""Checkpoints, each with its checksum and written atomically, and loops that go on from them."""

import hashlib
import json
import logging
import time
from itertools import count
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from dynmatch.storage.atomic import replacing
from dynmatch.storage.resumable import sound_parts

DIGEST = hashlib.sha256().digest_size
GENERATIONS = ("latest", "previous")
SECONDS = 20.0
"""Between two checkpoints of a loop."""


def write(path: str | Path, fingerprint: str, state: Any, record: dict) -> None:
    """Write `state` (a pytree) and `record` (plain values) to one file, atomically.

    `fingerprint` identifies the settings and data that they belong to.
    """
    payload = serialization.msgpack_serialize(
        {
            "fingerprint": fingerprint,
            "record": json.dumps(record),
            "state": {str(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))},
        }
    )
    with replacing(path) as temporary:
        temporary.write_bytes(hashlib.sha256(payload).digest() + payload)


def read(path: str | Path, fingerprint: str, template: Any) -> tuple[Any, dict] | None:
    """What `write` wrote, or None where that is missing, damaged or of another fingerprint.

    `template` is a pytree like the one that was written. A damaged file is named in a warning.
    """
    path = Path(path)
    if not path.exists():
        return None
    content = path.read_bytes()
    digest, payload = content[:DIGEST], content[DIGEST:]
    if hashlib.sha256(payload).digest() != digest:
        logging.warning("%s: damaged checkpoint, passed over", path)
        return None
    document = serialization.msgpack_restore(payload)
    if document["fingerprint"] != fingerprint:
        logging.info("%s: checkpoint of other settings or data, passed over", path)
        return None
    leaves = [jnp.asarray(document["state"][str(i)]) for i in range(len(document["state"]))]
    return jax.tree.unflatten(jax.tree.structure(template), leaves), json.loads(document["record"])


class Resumable:
    """A loop that can be killed and goes on: its checkpoints in a folder.

    `fingerprint` stands for all that decides its course; checkpoints of another are passed over.
    A checkpoint is `due` every `SECONDS`.
    """

    def __init__(self, folder: str | Path, fingerprint: str):
        self._folder, self._fingerprint = Path(folder), fingerprint
        self._saved = time.monotonic()

    def due(self) -> bool:
        return time.monotonic() - self._saved > SECONDS

    def save(self, state: Any, record: dict) -> None:
        """Write the newest checkpoint; that before it becomes "previous"."""
        latest, previous = (self._folder / f"{name}.msgpack" for name in GENERATIONS)
        if latest.exists():
            latest.replace(previous)
        self._write(latest, state, record)

    def load(self, template: Any) -> tuple[Any, dict] | None:
        """State and record of the newest sound checkpoint, or None where there is none."""
        paths = (self._folder / f"{name}.msgpack" for name in GENERATIONS)
        found = (read(path, self._fingerprint, template) for path in paths)
        return next((each for each in found if each is not None), None)

    def save_part(self, number: int, state: Any, record: dict) -> None:
        """Write one of the checkpoints that are all kept, each with what came since the last."""
        self._write(self._part(number), state, record)

    def load_parts(self, template: Any) -> list[tuple[Any, dict]]:
        """State and record of the parts up to the first that cannot be used."""
        paths = (self._part(number) for number in count())
        return list(sound_parts(paths, lambda path: read(path, self._fingerprint, template)))

    def _part(self, number: int) -> Path:
        return self._folder / f"part-{number:04d}.msgpack"

    def _write(self, path: Path, state: Any, record: dict) -> None:
        write(path, self._fingerprint, state, record)
        self._saved = time.monotonic()
