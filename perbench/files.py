"""Writing files so that none is ever half a file. A rim, shared by local mode and the bench process."""

import contextlib
import errno
import os
from pathlib import Path

from perbench.failures import Blame, Failure, RunError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class WriteError(RunError):
    """A file of the run could not be written. What was stored before is whole."""


def write_error(path: Path, error: OSError) -> WriteError:
    """Turn an operating system's error into one line and a reason."""
    reason = "DiskFull" if error.errno in _NO_ROOM else "WriteFailed"
    message = f"cannot write {path.name}: {error.strerror or error}"
    return WriteError(Failure(blame=Blame.INFRASTRUCTURE, reason=reason, message=message))


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text`: after a crash it holds the old text or the new one. Raises WriteError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise write_error(path, error) from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
