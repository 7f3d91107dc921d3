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
    if path.is_dir():
        path /= NAME
    shown = str(path) if str(path).isprintable() else repr(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{shown}: cannot be read: {error.strerror or error}; give a results.json") from error
    results = parse(data, shown)
    try:
        settings_of(results)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from error
    return results
