"""The command line, run in this process."""

import sys
from collections.abc import Callable

import pytest

from perbench import cli

Perbench = Callable[..., tuple[int, str, str]]
"""Takes arguments; gives exit code, standard output and standard error."""


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *commands: str) -> Perbench:
    """A command line that knows these commands, at least two: an app of a single one would have no subcommands."""
    monkeypatch.setattr(cli, "COMMANDS", commands)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["perbench", *map(str, arguments)])
        with pytest.raises(SystemExit) as exited:
            cli.main()
        captured = capsys.readouterr()
        return int(exited.value.code or 0), captured.out, captured.err

    return run
