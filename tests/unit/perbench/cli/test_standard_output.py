"""Standard output that takes nothing: one line, no traceback. A process each, for how Python ends is part of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from perbench.cli import main; main()", "crd"]
FULL = Path("/dev/full")


def environment(unbuffered: str) -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": unbuffered}


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is Linux's")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("argument", [[], ["--help"]], ids=["much", "little"])
def test_a_full_disk_is_one_line(unbuffered: str, argument: list[str]) -> None:
    with FULL.open("w") as full:
        ended = subprocess.run(
            [*COMMAND, *argument],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(unbuffered),
        )
    line = "perbench: cannot write to standard output: No space left on device; make room, or send it elsewhere\n"
    assert (ended.stderr, ended.returncode) == (line, 4)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_left_is_no_error_to_speak_of(unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [*COMMAND, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False, env=environment(unbuffered)
    )
    os.close(writer)
    assert (ended.stderr, ended.returncode) == ("", 1)


def test_without_standard_output_a_command_does_its_work() -> None:
    ended = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (ended.stderr, ended.returncode) == ("", 0)
