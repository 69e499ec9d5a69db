"""The log of a rule: all that reaches stderr, kept in a file as well."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tqdm.contrib.logging import logging_redirect_tqdm

from dynmatch.errors import DynmatchError


@contextmanager
def rule_log(path: str | Path) -> Iterator[None]:
    """Copy stderr to the file `path` while the block runs, with logging and warnings sent there.

    A progress bar leaves its last state in the file, as one plain line. Messages below WARNING are
    taken from dynmatch alone. A DynmatchError ends the process with one `error: ...` line and exit
    status 1; of any other exception the file keeps the traceback too, and it is raised again.
    """
    stderr = sys.stderr
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", buffering=1) as file:
        sys.stderr = _Tee(stderr, file)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        handler.addFilter(_worth_telling)
        root = logging.getLogger()
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        try:
            with logging_redirect_tqdm():
                yield
        except DynmatchError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        except Exception:
            file.write(traceback.format_exc())
            raise
        finally:
            logging.captureWarnings(False)
            root.setLevel(level)
            root.removeHandler(handler)
            sys.stderr = stderr


def _worth_telling(record: logging.LogRecord) -> bool:
    ours = record.name.partition(".")[0] in ("root", "dynmatch", "__main__")
    return ours or record.levelno >= logging.WARNING


class _Tee:
    """A text stream that also writes each finished line to a file, as it was last shown."""

    def __init__(self, stream: TextIO, file: TextIO):
        self._stream = stream
        self._file = file
        self._line = ""

    def write(self, text: str) -> int:
        *finished, self._line = (self._line + text).split("\n")
        for line in finished:
            # on a full disk, what happened is still told on stderr
            with suppress(OSError):
                self._file.write(line.rstrip("\r").rpartition("\r")[2].rstrip() + "\n")
        return self._stream.write(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)
