"""What a session takes from its target and the environment."""

import asyncio

import pytest
from pydantic import JsonValue

from perbench.api.models import Protocol
from perbench.failures import UsageError
from perbench.plan import LoadPlan, Target
from perbench_bench.session import MOST_IN_VAIN, api_key_of, candidates, open_session, origin_of, preflight
from perbench_bench.truth import truth_server

CONTINUOUS: dict[str, JsonValue] = {"include_usage": True, "continuous_usage_stats": True}


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


def found_way(url: str, **extra: JsonValue) -> Target:
    """How a server is asked after the preflight."""

    async def find() -> Target:
        asked = Target(url=url, protocol=Protocol.OPENAI_CHAT, model="m", extra_body=extra)
        session = await open_session(asked, LoadPlan(concurrency=1, max_seconds=60), seed=42)
        return (await preflight(session, "Say a word.", 8)).target

    return asyncio.run(find())


def test_a_server_that_counts_each_chunk_is_asked_to() -> None:
    with truth_server({"answer": {"usage": "as-asked"}}) as server:
        assert found_way(server.url).extra_body == {"stream_options": CONTINUOUS, "cache_prompt": False}


@pytest.mark.parametrize("usage", ["end", "strict"])
def test_a_server_that_does_not_is_asked_without(usage: str) -> None:
    with truth_server({"answer": {"usage": usage}}) as server:
        way = found_way(server.url)
    assert way.extra_body == {"cache_prompt": False}
    assert way.can_force_length


def test_what_the_target_itself_says_of_the_stream_stands() -> None:
    with truth_server({"answer": {"usage": "end"}}) as server:
        assert found_way(server.url, stream_options=CONTINUOUS, cache_prompt=True).extra_body == {
            "stream_options": CONTINUOUS, "cache_prompt": True,
        }  # fmt: skip
    assert len(candidates(target())) == 3
    assert candidates(target(protocol=Protocol.TGI)) == (target(protocol=Protocol.TGI),)


@pytest.mark.parametrize("kind", ["refuse", "reset", "error-event"])
def test_a_server_that_is_gone_is_not_asked_for_all(kind: str) -> None:
    async def ask(url: str) -> int:
        session = await open_session(
            Target(url=url, protocol=Protocol.OPENAI_CHAT, model="m"), LoadPlan(concurrency=1, max_seconds=60), seed=42
        )
        return len(await session.ask([session.request("a", 2)] * 40))

    with truth_server({"faults": [{"kind": kind}]}) as server:
        assert asyncio.run(ask(server.url)) == MOST_IN_VAIN
