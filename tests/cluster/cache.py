"""Where what is expensive to make is kept between runs, outside the tree; and locks that end with their holder."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

Say = Callable[[str], None]
"""Takes one line of progress."""


class CannotRunError(Exception):
    """Why there is no cluster on this machine, in one line: what is missing and what to do."""


def root() -> Path:
    """`perbench-cluster` in $PERBENCH_CLUSTER_CACHE, else in $XDG_CACHE_HOME, else in ~/.cache."""
    named = os.environ.get("PERBENCH_CLUSTER_CACHE") or os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache").absolute() / "perbench-cluster"


@contextlib.contextmanager
def locked(path: Path, say: Say) -> Iterator[None]:
    """Hold the lock file `path`; where somebody else holds it, say so and wait."""
    descriptor = try_lock(path)
    if descriptor is None:
        say(f"waiting for another process that holds {path}")
        descriptor = _open(path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """The descriptor that holds the lock file until it is closed, by the end of the process at the latest; or None."""
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        # Who held it before may have removed the file in the meantime; the lock of a removed file keeps nobody out.
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
