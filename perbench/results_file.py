"""Reading results.json from a disk. A rim."""

from pathlib import Path

from perbench.evaluation import settings_of
from perbench.failures import UsageError
from perbench.record import parse
from perbench.results import Results

NAME = "results.json"


def read_results(path: Path) -> Results:
    """The results in a file, or in the results.json of a directory: whole, and ready to be evaluated.

    Raises UsageError: one line, what is wrong and where.
    """
    return checked_results(read_bytes(path / NAME if path.is_dir() else path), path)


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises UsageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{shown(path)}: cannot be read: {error.strerror or error}; give a results.json") from error


def checked_results(data: bytes, path: Path) -> Results:
    """The results in `data`, which came from `path`. Raises UsageError."""
    name = shown(path / NAME if path.is_dir() else path)
    results = parse(data, name)
    try:
        settings_of(results)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from error
    return results


def shown(path: Path) -> str:
    """A path as part of one line."""
    return str(path) if str(path).isprintable() else repr(str(path))
