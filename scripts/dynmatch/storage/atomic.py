"""Atomic output: a file appears under its final name only when it is complete."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynmatch.errors import DynmatchError

CANNOT_WRITE = [
    os.strerror(code)
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)
]
"""No space, quota, size limit, or permission: what HDF5's and Python's messages say alike."""


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` when the block succeeds.

    The suffix is kept, because MDTraj and pandas choose a format by it. When the block raises,
    the temporary file is removed and `path` is left as it was.

    Raises DynmatchError when the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except Exception as error:
        reasons = [reason for reason in CANNOT_WRITE if reason in str(error)]
        if reasons:
            raise DynmatchError(
                f"{path}: cannot be written ({reasons[0]}); make room there, or take another "
                "folder, and run it again"
            ) from error
        raise
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)
