import asyncio
import inspect
import itertools
import logging

import kopf
import kopf._cogs.clients.api
import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from perbench_operator.routes import answering
from perbench_operator.watch import (
    Patience,
    connection_info,
    is_worth_a_line,
    operator_registry,
    operator_settings,
    session,
    watched_by,
)


def test_patience_has_no_end_and_starts_anew() -> None:
    patience = Patience()
    assert list(itertools.islice(patience, 7)) == [1, 2, 4, 8, 15, 15, 15]
    assert next(iter(patience)) == 1
    assert not hasattr(patience, "__len__")  # kopf counts attempts where it can


def test_a_request_that_fails_without_end_is_told_ever_more_rarely() -> None:
    told = []
    for number in range(1, 20):
        said = f"Request attempt #{number} failed; will retry: GET https://10.0.0.1/apis -> APIForbiddenError('no')"
        if is_worth_a_line(logging.LogRecord("kopf", logging.ERROR, "", 0, said, None, None)):
            told.append(number)
    assert told == [1, 2, 4, 8, 16]
    other = logging.LogRecord("perbench_operator", logging.INFO, "", 0, "attempt #3 of %s", ("a",), None)
    assert is_worth_a_line(other)


def test_kopf_words_its_attempts_as_we_know_them() -> None:
    assert "Request attempt {idx} failed; will retry: " in inspect.getsource(kopf._cogs.clients.api)


def test_kopf_stores_and_posts_nothing_under_its_authors_name() -> None:
    settings = operator_settings()
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.persistence.finalizer.startswith("perbench.dev/")
    storages = (settings.persistence.progress_storage, settings.persistence.diffbase_storage)
    assert [getattr(storage, "prefix", None) for storage in storages] == ["perbench.dev", "perbench.dev"]


def test_of_other_objects_only_those_of_runs_are_streamed() -> None:
    selectors = operator_settings().watching.label_selectors
    assert selectors["batch", "v1", "jobs"] == "perbench.dev/uid"
    assert selectors["", "v1", "pods"] == "perbench.dev/uid"
    assert selectors["", "v1", "configmaps"] == "perbench.dev/role=progress"


def test_handlers_ask_for_no_finalizer_and_no_state() -> None:
    """Only event handlers: anything else makes kopf write to the objects."""
    registry = operator_registry(lambda _kind, _event, _body: None, lambda _kind, _namespace: None)
    assert isinstance(registry, kopf.OperatorRegistry)
    assert len(list(registry._watching.get_all_handlers())) == 4
    for others in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(others.get_all_handlers()) == []


def test_both_clients_have_the_same_credentials() -> None:
    configuration = Configuration(host="https://10.0.0.1:443", ssl_ca_cert="/ca.crt")
    configuration.api_key["BearerToken"] = "bearer secret\n"
    info = asyncio.run(connection_info(configuration))
    assert (info.server, info.ca_path, info.scheme, info.token) == (
        "https://10.0.0.1:443",
        "/ca.crt",
        "Bearer",
        "secret",
    )


def test_a_client_certificate_needs_no_token() -> None:
    configuration = Configuration(host="https://10.0.0.1:443")
    configuration.cert_file, configuration.key_file = "/a.crt", "/a.key"
    info = asyncio.run(connection_info(configuration))
    assert (info.scheme, info.token) == (None, None)
    assert (info.certificate_path, info.private_key_path) == ("/a.crt", "/a.key")


BENCHMARKS = "/apis/perbench.dev/v1alpha1"


@pytest.mark.parametrize(
    ("path", "watched"),
    [
        (f"{BENCHMARKS}/perbenchmarks?watch=true&resourceVersion=5", ("PERBenchmark", "")),
        (f"{BENCHMARKS}/namespaces/team-a/perbenchmarks?watch=true", ("PERBenchmark", "team-a")),
        ("/api/v1/namespaces/team-a/pods?labelSelector=a&watch=true", ("Pod", "team-a")),
        ("/prefix/apis/batch/v1/jobs?watch=true", ("Job", "")),
        (f"{BENCHMARKS}/perbenchmarks?limit=500", None),
        (f"{BENCHMARKS}/namespaces/team-a/perbenchmarks/pods?watch=false", None),
        ("/api/v1/namespaces?watch=true", None),
        ("/version", None),
    ],
)
def test_a_watch_is_known_by_its_request(path: str, watched: tuple[str, str] | None) -> None:
    assert watched_by(f"https://10.0.0.1:443{path}") == watched


def test_a_watch_that_the_api_opens_is_told_of() -> None:
    """As soon as it is open, and not one that is refused."""
    opened: list[tuple[str, str]] = []
    released = asyncio.Event()

    async def pods(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await released.wait()
        return answer

    async def jobs(_: web.Request) -> web.StreamResponse:
        raise web.HTTPForbidden

    async def ask() -> None:
        routes = [web.get("/api/v1/pods", pods), web.get("/apis/batch/v1/jobs", jobs)]
        async with answering(routes, "127.0.0.1", 0, "test's") as port:
            server = f"http://127.0.0.1:{port}"
            made = session(kopf.ConnectionInfo(server=server), lambda *watch: opened.append(watch))
            assert made.server == server
            async with made.aiohttp_session as asking:
                await asking.get(f"{server}/apis/batch/v1/jobs?watch=true")
                async with asking.get(f"{server}/api/v1/pods?watch=true"):
                    assert opened == [("Pod", "")]
                    released.set()

    asyncio.run(ask())


def test_the_session_has_the_credentials() -> None:
    async def headers() -> dict[str, str]:
        info = kopf.ConnectionInfo(server="https://10.0.0.1", scheme="Bearer", token="secret")
        async with session(info, lambda _kind, _namespace: None).aiohttp_session as made:
            return dict(made.headers)

    assert asyncio.run(headers())["Authorization"] == "Bearer secret"
