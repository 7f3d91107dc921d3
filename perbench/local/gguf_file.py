"""A GGUF file on this machine: whether it is one, and its digest. A rim: reads files."""

import functools
import hashlib
from pathlib import Path

from perbench.failures import UsageError

MAGIC = b"GGUF"
POINTER = b"version https://git-lfs"
"""What stands in a file that git-lfs has not fetched yet."""


def check_gguf(path: Path, where: str) -> None:
    """Raise UsageError unless `path` is a GGUF file that can be read."""
    try:
        with path.open("rb") as file:
            beginning = file.read(len(POINTER))
    except FileNotFoundError as error:
        raise UsageError(f"{where}: {path} does not exist") from error
    except IsADirectoryError as error:
        raise UsageError(f"{where}: {path} is a directory; name the GGUF file in it") from error
    except OSError as error:
        raise UsageError(f"{where}: {path} cannot be read: {error.strerror}") from error
    if beginning == POINTER:
        raise UsageError(f"{where}: {path} is a git-lfs pointer, not the model itself: run git lfs pull")
    if not beginning.startswith(MAGIC):
        raise UsageError(f"{where}: {path} is not a GGUF file; llama.cpp serves GGUF only")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal. A file that has not changed since is not read again."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@functools.cache
def _sha256(path: Path, size: int, changed: int) -> str:
    del size, changed  # part of what is remembered
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
