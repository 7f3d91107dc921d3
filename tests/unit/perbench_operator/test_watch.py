import asyncio
import itertools

import kopf
from kubernetes.aio.client import ApiException, Configuration

from perbench_operator.api import refusal
from perbench_operator.watch import Patience, connection_info, operator_registry, operator_settings


def test_patience_has_no_end_and_starts_anew() -> None:
    patience = Patience()
    assert list(itertools.islice(patience, 7)) == [1, 2, 4, 8, 15, 15, 15]
    assert next(iter(patience)) == 1
    assert not hasattr(patience, "__len__")  # kopf counts attempts where it can


def test_kopf_stores_and_posts_nothing_under_its_authors_name() -> None:
    settings = operator_settings()
    assert settings.scanning.disabled
    assert settings.peering.standalone
    assert not settings.posting.enabled
    assert settings.persistence.finalizer.startswith("perbench.dev/")
    storages = (settings.persistence.progress_storage, settings.persistence.diffbase_storage)
    assert [getattr(storage, "prefix", None) for storage in storages] == ["perbench.dev", "perbench.dev"]


def test_handlers_ask_for_no_finalizer_and_no_state() -> None:
    """Only event handlers: anything else makes kopf write to the objects."""
    registry = operator_registry(lambda _kind, _body: None)
    assert isinstance(registry, kopf.OperatorRegistry)
    assert len(registry._watching.get_all_handlers()) == 1
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


def test_refusals_say_what_to_do() -> None:
    assert refusal(ApiException(status=404), None) == (
        "perbenchmarks in all namespaces cannot be listed: the API does not have them: install the chart perbench-crds"
    )
    assert refusal(ApiException(status=403), "team-a") == (
        "perbenchmarks in namespace team-a cannot be listed: not allowed: is the operator's role bound here?"
    )
    assert refusal(ApiException(status=500, reason="Internal"), None).endswith("the API says 500 Internal")
    assert refusal(TimeoutError(), None).endswith("no answer (TimeoutError)")
