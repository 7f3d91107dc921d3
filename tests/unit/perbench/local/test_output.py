import os
from pathlib import Path

import pytest

from perbench.local.output import lasting


def test_what_is_written_arrives_at_once(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        out = lasting(file)
        out.write("one → two\n")
        out.flush()
        assert (tmp_path / "out").read_text() == "one → two\n"
        assert not out.isatty()


def test_a_stream_that_cannot_write_a_character_says_it_otherwise(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as file:
        lasting(file).write("→\n")
    assert (tmp_path / "out").read_text() == "\\u2192\n"


@pytest.mark.parametrize("lines", [1, 10_000])
def test_a_reader_that_left_is_no_error(lines: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        out = lasting(pipe)
        for _ in range(lines):
            out.write("nobody reads this\n")
        out.flush()


def test_a_stream_the_shell_has_closed_takes_everything() -> None:
    out = lasting(None)
    out.write("nobody reads this\n")
    assert not out.isatty()
