"""Without the extra `grafana`; tests/unit/perbench/grafana/test_push.py has it."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.cli import Perbench, runner


@pytest.fixture
def perbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Perbench:
    return runner(monkeypatch, capsys, "grafana", "crd")


@pytest.mark.parametrize("command", ["push", "tell"])
def test_the_client_has_an_environment_of_its_own(perbench: Perbench, tmp_path: Path, command: str) -> None:
    """It brings urllib3-future, which would take the place of the urllib3 that `kubectl perbench` uses."""
    assert find_spec("grafana_client") is None
    assert find_spec("urllib3_future") is None
    code, out, err = perbench("grafana", command, "--url", "https://grafana", "--token-file", tmp_path / "token")
    assert (code, out) == (2, "")
    assert err == (
        "perbench: the Grafana client is not installed: pip install 'perbench[grafana]', best apart: docs/grafana.md\n"
    )


def test_help_says_what_is_asked(perbench: Perbench) -> None:
    code, out, _ = perbench("grafana", "push", "--help")
    assert code == 0
    for option in ("--url", "--token-file", "--folder", "--prometheus-url"):
        assert option in out
