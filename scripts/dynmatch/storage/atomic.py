"""Atomic output: a file appears under its final name only when it is complete."""

import errno
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from time import time

from dynmatch.errors import DynmatchError

CANNOT_WRITE = [
    os.strerror(code)
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS)
]
"""No space, quota, size limit, or permission: what HDF5's and Python's messages say alike."""

ABANDONED = 3600.0
"""Seconds after which a temporary file that nobody has written to is that of a job that was
killed."""
COUNT = itertools.count()
"""Two jobs that write the same file, and two threads of one, have temporary files of their own."""


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` when the block succeeds.

    The suffix is kept, because MDTraj and pandas choose a format by it. When the block raises,
    the temporary file is removed and `path` is left as it was.

    Raises DynmatchError when the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{next(COUNT)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        _remove_abandoned(path)
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


def _remove_abandoned(path: Path) -> None:
    for left in path.parent.glob(f".{escape(path.stem)}.*.part{escape(path.suffix)}"):
        try:
            if time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
        except OSError:
            # another job was faster
            pass
