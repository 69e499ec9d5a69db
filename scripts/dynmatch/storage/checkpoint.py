"""Checkpoints, each with its checksum and written atomically; a new one keeps that before it."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from dynmatch.storage.atomic import replacing

DIGEST = hashlib.sha256().digest_size
GENERATIONS = ("latest", "previous")


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


def save(folder: str | Path, fingerprint: str, state: Any, record: dict) -> None:
    """`write` to `folder`; the last checkpoint there becomes "previous"."""
    latest, previous = (Path(folder) / f"{name}.msgpack" for name in GENERATIONS)
    if latest.exists():
        latest.replace(previous)
    write(latest, fingerprint, state, record)


def load(folder: str | Path, fingerprint: str, template: Any) -> tuple[Any, dict] | None:
    """State and record of the newest sound checkpoint in `folder`, or None where there is none."""
    found = (read(Path(folder) / f"{name}.msgpack", fingerprint, template) for name in GENERATIONS)
    return next((each for each in found if each is not None), None)
