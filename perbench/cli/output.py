"""Where commands put what they make: a file, or standard output for `-`."""

import sys
from pathlib import Path

from perbench.failures import UsageError
from perbench.files import WriteError, write_atomically

STANDARD_OUTPUT = Path("-")


def write_output(path: Path, text: str) -> None:
    """Write `text` to `path`, replacing a file that is there. Raises UsageError where that cannot be."""
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")  # a pipe or a device stays what it is
        else:
            write_atomically(path, text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}; choose another file") from error
    except WriteError as error:
        raise UsageError(f"{path}: {error}; choose another file") from error
