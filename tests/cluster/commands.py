"""Running a program that takes its time, saying now and then that it still runs. It ends with this process."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.cluster.cache import CannotRunError, Say
from tests.cluster.supervisor import die_with_parent

FIRST_WORD_SECONDS, HEARTBEAT_SECONDS = 2.0, 20.0
TRIES, PAUSE_SECONDS = 3, 5.0
"""Of a program that needs a network: mirrors and indexes are away for a moment now and then."""


def run_repeatedly(
    command: Sequence[str | Path], environment: Mapping[str, str], title: str, say: Say, folder: Path | None = None
) -> None:
    """Run a program that fetches what it needs, and again where it fails. Raises CannotRunError as `run_aloud`."""
    for left in reversed(range(TRIES)):
        try:
            run_aloud(command, environment, title, say, folder)
        except CannotRunError as error:
            if not left:
                raise
            say(f"{error}; again in {PAUSE_SECONDS:g} s")
            time.sleep(PAUSE_SECONDS)
        else:
            return


def run_aloud(
    command: Sequence[str | Path], environment: Mapping[str, str], title: str, say: Say, folder: Path | None = None
) -> None:
    """Run a program to its end. Raises CannotRunError with the end of what it prints where it fails."""
    started = time.monotonic()
    with subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        preexec_fn=die_with_parent,  # noqa: PLW1509 - one that outlives a killed builder would write into the next one's
    ) as process:
        try:
            output = _wait(process, title, started, say)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        said = " / ".join(output.strip().splitlines()[-5:])
        raise CannotRunError(f"{title} cannot be made: {command[0]} says: {said}")


def _wait(process: subprocess.Popen[str], title: str, started: float, say: Say) -> str:
    patience = FIRST_WORD_SECONDS
    while True:
        try:
            return process.communicate(timeout=patience)[0]
        except subprocess.TimeoutExpired:
            say(f"making {title}: {time.monotonic() - started:.0f} s")
        patience = HEARTBEAT_SECONDS
