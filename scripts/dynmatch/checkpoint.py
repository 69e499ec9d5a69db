"""Checkpoints of a training: two generations, each with its checksum, written atomically."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from dynmatch.files import replacing

DIGEST = hashlib.sha256().digest_size
GENERATIONS = ("latest", "previous")


def save(folder: str | Path, fingerprint: str, state: Any, record: dict) -> None:
    """Write `state` (a pytree) and `record` (plain values); the last checkpoint becomes "previous".

    `fingerprint` identifies the settings and data; `load` passes over checkpoints of another.
    """
    folder = Path(folder)
    payload = serialization.msgpack_serialize(
        {
            "fingerprint": fingerprint,
            "record": json.dumps(record),
            "state": {str(i): np.asarray(x) for i, x in enumerate(jax.tree.leaves(state))},
        }
    )
    latest, previous = (folder / f"{name}.msgpack" for name in GENERATIONS)
    if latest.exists():
        latest.replace(previous)
    with replacing(latest) as temporary:
        temporary.write_bytes(hashlib.sha256(payload).digest() + payload)


def load(folder: str | Path, fingerprint: str, template: Any) -> tuple[Any, dict] | None:
    """State and record of the newest sound checkpoint, or None where there is none.

    `template` is a pytree like the one that was saved. A damaged checkpoint is named in a warning
    and the generation before it is used.
    """
    for name in GENERATIONS:
        path = Path(folder) / f"{name}.msgpack"
        if not path.exists():
            continue
        content = path.read_bytes()
        digest, payload = content[:DIGEST], content[DIGEST:]
        if hashlib.sha256(payload).digest() != digest:
            logging.warning("%s: damaged checkpoint, passed over", path)
            continue
        document = serialization.msgpack_restore(payload)
        if document["fingerprint"] != fingerprint:
            logging.info("%s: checkpoint of other settings or data, passed over", path)
            continue
        leaves = [jnp.asarray(document["state"][str(i)]) for i in range(len(document["state"]))]
        state = jax.tree.unflatten(jax.tree.structure(template), leaves)
        return state, json.loads(document["record"])
    return None
