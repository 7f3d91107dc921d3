"""What a session takes from its target and the environment."""

import pytest

from perbench.api.models import Protocol
from perbench.failures import UsageError
from perbench.plan import Target
from perbench_bench.session import api_key_of, origin_of


def target(url: str = "http://h", protocol: Protocol = Protocol.OPENAI, key: str | None = None) -> Target:
    return Target(url=url, protocol=protocol, model="m", api_key_variable=key)


def test_a_key_is_taken_without_the_line_feed_it_was_stored_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "secret\n")
    assert api_key_of(target(key="KEY")) == "secret"
    assert api_key_of(target()) is None
    monkeypatch.setenv("KEY", "")
    assert api_key_of(target(key="KEY")) is None


def test_a_key_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY", raising=False)
    with pytest.raises(UsageError, match="KEY"):
        origin_of(target(key="KEY"))


@pytest.mark.parametrize("key", ["sécret", "sec\rret"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_said(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("KEY", key)
    with pytest.raises(UsageError, match="KEY") as caught:
        origin_of(target(key="KEY"))
    assert key not in str(caught.value)


def test_the_version_is_part_of_the_route_and_not_of_the_url() -> None:
    with pytest.raises(UsageError, match="leave out /v1"):
        origin_of(target("http://h/v1/"))
    assert origin_of(target("http://h/v1", Protocol.TGI)).base_path == "/v1"
