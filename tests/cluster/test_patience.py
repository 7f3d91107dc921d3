"""What is tried again and what is not: programs that fetch something, and commands to an API server that is away."""

import stat
from pathlib import Path

import pytest

from tests.cluster import api, commands
from tests.cluster.api import Kubectl
from tests.cluster.cache import CannotRunError
from tests.cluster.commands import run_repeatedly

COUNTED = """#!/bin/sh
echo x >> {count}
[ $(wc -l < {count}) -gt {failures} ] && exec echo done
echo "{said}" >&2
exit 1
"""


def program(folder: Path, failures: int, said: str) -> tuple[Path, Path]:
    """One that fails so often, with these words, and a file with a line for each try."""
    script, count = folder / "program", folder / "count"
    script.write_text(COUNTED.format(count=count, failures=failures, said=said))
    script.chmod(stat.S_IRWXU)
    return script, count


def tries(count: Path) -> int:
    return len(count.read_text().split())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(api, "AGAIN_PAUSE_SECONDS", 0.0)


def test_a_mirror_that_is_away_for_a_moment_is_asked_again(tmp_path: Path) -> None:
    fetching, count = program(tmp_path, 2, "temporary failure in name resolution")
    said: list[str] = []
    run_repeatedly([fetching], {"PATH": "/usr/bin:/bin"}, "it", said.append)
    assert tries(count) == 3
    assert [line for line in said if "name resolution; again in" in line] == said


def test_what_fails_every_time_is_told_with_its_last_words(tmp_path: Path) -> None:
    failing, count = program(tmp_path, 9, "no such package")
    with pytest.raises(CannotRunError, match=r"it cannot be made: .* says: no such package"):
        run_repeatedly([failing], {"PATH": "/usr/bin:/bin"}, "it", lambda _line: None)
    assert tries(count) == 3


@pytest.mark.parametrize(
    ("said", "command", "again"),
    [
        ("The connection to the server 127.0.0.1:1 was refused: dial tcp: connection refused", "create", True),
        ("Unable to connect to the server: net/http: TLS handshake timeout", "delete", True),
        ("Error from server: etcdserver: request timed out", "get", True),
        ("Error from server: etcdserver: leader changed", "apply", True),
        ("Error from server: etcdserver: request timed out", "create", False),
        ("Error from server (NotFound): pods web not found", "get", False),
    ],
)
def test_commands_are_given_again_where_nothing_can_come_of_it_twice(
    tmp_path: Path, said: str, command: str, again: bool
) -> None:
    kubectl, count = program(tmp_path, 1, said)
    asked = Kubectl(kubectl, tmp_path / "kubeconfig")
    if again:
        assert asked(command) == "done\n"
    else:
        with pytest.raises(RuntimeError, match=f"kubectl {command}: Error from server"):
            asked(command)
    assert tries(count) == 1 + again
