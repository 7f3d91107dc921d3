"""What is learnt of a model before its load: from the hub, from its server, from a first generation."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.hf_api import ModelInfo
from typing_extensions import override

from perbench.api.models import Protocol
from perbench.failures import RunError
from perbench.plan import HubModel, LoadPlan, Target
from perbench_bench.engine.http1 import Origin
from perbench_bench.first_generation import first_generation
from perbench_bench.hub_facts import as_loaded, facts_of, hub_facts, not_in_time, weight_bytes
from perbench_bench.server_facts import ServerFacts, server_facts
from perbench_bench.session import Session, open_session
from perbench_bench.truth import truth_server
from tests.support.hub import COMMIT, Repository, hub

TGI = {
    "model_id": "/srv/model", "model_sha": "f" * 40, "model_pipeline_tag": None, "max_concurrent_requests": 128,
    "max_best_of": 2, "max_stop_sequences": 4, "max_input_tokens": 4095, "max_total_tokens": 4096,
    "validation_workers": 2, "max_client_batch_size": 4, "router": "text-generation-router", "version": "3.3.6-dev0",
    "sha": "dfb3fbe78e0d1d69251bd33065591c61bafdfaa8", "docker_label": "sha-dfb3fbe",
}  # fmt: skip
SGLANG = {
    "version": "0.5.23", "model_path": "org/name", "mem_fraction_static": 0.88, "tp_size": 2,
    "disable_radix_cache": True,
    "api_key": "secret", "admin_api_key": "secret", "dtype": "auto", "quantization": None, "internal_states": [{}],
}  # fmt: skip
LLAMACPP = {
    "default_generation_settings": {"n_ctx": 1024, "params": {}}, "total_slots": 2, "model_ftype": "Q4_1",
    "build_info": "b11669-Debian", "chat_template": "x" * 5000,
}  # fmt: skip


class _Answers(BaseHTTPRequestHandler):
    answers: Mapping[str, Any] = {}

    def do_GET(self) -> None:
        found = self.answers.get(self.path)
        self.send_response(200 if found is not None else 404)
        self.end_headers()
        self.wfile.write(found if isinstance(found, bytes) else json.dumps(found).encode())

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def answering(answers: Mapping[str, Any]) -> Iterator[Origin]:
    handler = type("Answers", (_Answers,), {"answers": answers})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield Origin("127.0.0.1", server.server_port, tls=False, base_path="")
        server.shutdown()
        thread.join()


def asked(answers: Mapping[str, Any]) -> ServerFacts:
    with answering(answers) as origin:
        return server_facts(origin, "127.0.0.1", None)


def test_tgi_says_which_image_it_is() -> None:
    found = asked({"/info": TGI})
    assert found.version == "3.3.6-dev0 (sha-dfb3fbe)"
    assert found.revision == "f" * 40
    assert found.arguments["max_concurrent_requests"] == 128
    assert "model_pipeline_tag" not in found.arguments
    assert found.arguments["sizedAtStart"] == {"max_input_tokens": 4095, "max_total_tokens": 4096}, (
        "not told from flags, which are among the arguments it was given"
    )


@pytest.mark.parametrize("path", ["/server_info", "/get_server_info"])
def test_sglang_says_its_arguments_and_we_take_no_keys(path: str) -> None:
    found = asked({path: SGLANG})
    assert found.version == "0.5.23"
    assert (found.arguments["tp_size"], found.arguments["disable_radix_cache"]) == (2, True)
    assert "secret" not in str(found)


def test_llamacpp_says_its_build() -> None:
    found = asked({"/props": LLAMACPP})
    assert (found.version, found.arguments) == (
        "b11669-Debian",
        {"total_slots": 2, "model_ftype": "Q4_1", "sizedAtStart": {"n_ctx": 1024}},
    )


def test_vllm_says_its_version_only() -> None:
    assert asked({"/version": {"version": "0.32.0"}}) == ServerFacts("0.32.0")


@pytest.mark.parametrize(
    "answers", [{}, {"/info": b"not json"}, {"/info": []}, {"/info": {"a": 1}, "/version": {"version": 3}}]
)
def test_a_server_that_says_nothing_of_use_has_no_facts(answers: Mapping[str, Any]) -> None:
    assert asked(answers) == ServerFacts()


def test_texts_of_a_server_are_capped() -> None:
    found = asked({"/version": {"version": "v" * 10_000 + "\x00"}})
    assert found.version is not None
    assert len(found.version) <= 100


def test_nobody_there_has_no_facts() -> None:
    assert server_facts(Origin("127.0.0.1", 9, tls=False, base_path=""), "127.0.0.1", None) == ServerFacts()


FILES = {"model-00001.safetensors": b"x" * 30, "model-00002.safetensors": b"x" * 20, "config.json": b"{}"}


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return monkeypatch


def test_the_hub_says_what_a_model_is(online: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository(FILES, licence="apache-2.0")}) as endpoint:
        online.setenv("HF_ENDPOINT", endpoint)
        source, warning = hub_facts(HubModel(id="org/name", revision="main"))
    assert warning is None
    assert source == {
        "kind": "Hub", "model": "org/name", "revision": COMMIT, "licence": "apache-2.0", "bytes": 50,
    }  # fmt: skip


def test_a_model_that_the_hub_does_not_have_is_a_warning(online: pytest.MonkeyPatch) -> None:
    with hub({}) as endpoint:
        online.setenv("HF_ENDPOINT", endpoint)
        source, warning = hub_facts(HubModel(id="org/other"))
    assert source == {"kind": "Hub", "model": "org/other"}
    assert warning is not None
    assert "org/other" in warning
    assert "\n" not in warning


def test_a_hub_that_cannot_be_reached_is_a_warning(online: pytest.MonkeyPatch) -> None:
    online.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    source, warning = hub_facts(HubModel(id="org/name", revision="abc"))
    assert source == {"kind": "Hub", "model": "org/name", "revision": "abc"}
    assert warning is not None


def test_a_hub_that_must_not_be_asked_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with hub({"org/name": (repository := Repository(FILES))}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        _, warning = hub_facts(HubModel(id="org/name"))
    assert "HF_HUB_OFFLINE" in (warning or "")
    assert repository.requests == []
    assert hub_facts(None) == ({}, None)
    assert not_in_time(None) == ({}, None)


def test_the_commit_that_the_server_has_loaded_counts() -> None:
    assert as_loaded({"kind": "Hub", "revision": "main"}, "abc")["revision"] == "abc"
    assert as_loaded({"kind": "Hub", "revision": "main"}, None)["revision"] == "main"
    assert as_loaded({}, "abc") == {}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([("model.safetensors", 10), ("pytorch_model.bin", 11), ("original/model.safetensors", 12)], 10),
        ([("pytorch_model-1.bin", 4), ("pytorch_model-2.bin", 5), ("training_args.bin", 1)], 9),
        ([("consolidated.safetensors", 10), ("model-1.safetensors", 6), ("model-2.safetensors", 4)], 10),
        ([("consolidated.safetensors", 10)], 10),
        ([("model-Q4.gguf", 10), ("model-Q8.gguf", 20)], None),
        ([], None),
    ],
)
def test_weights_count_once(files: list[tuple[str, int]], expected: int | None) -> None:
    assert weight_bytes(files) == expected


def target(url: str, protocol: Protocol, key: str | None = None) -> Target:
    return Target(url=url, protocol=protocol, model="m", api_key_variable=key)


def generated(asked_of: Target, seconds: float = 30) -> tuple[Session, str | None]:
    async def generate() -> tuple[Session, str | None]:
        load = LoadPlan(concurrency=1, max_seconds=60, request_timeout_seconds=seconds)
        return await first_generation(await open_session(asked_of, load, seed=42), "Say a word.")

    return asyncio.run(generate())


@pytest.mark.parametrize(("protocol", "requests"), [(Protocol.TGI, 2), (Protocol.OPENAI_CHAT, 2), (Protocol.OPENAI, 1)])
def test_the_hubs_client_asks_first_where_it_has_a_way(protocol: Protocol, requests: int) -> None:
    with truth_server({"answer": {"usage": "as-asked"}}) as server:
        session, complaint = generated(target(server.url, protocol))
        assert len(server.record) == requests
    assert complaint is None
    assert session.load.request_timeout_seconds == 30


@pytest.mark.parametrize("protocol", [Protocol.TGI, Protocol.OPENAI_CHAT])
def test_the_servers_key_is_shown_and_the_hubs_token_is_not(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("KEY", "of-the-server")
    with truth_server(api_key="of-the-server") as server:
        assert generated(target(server.url, protocol, "KEY"))[1] is None
        with pytest.raises(RunError, match="401"):
            generated(target(server.url, protocol))
    shown: list[str | None] = []

    class Listener(_Answers):
        def do_POST(self) -> None:
            shown.append(self.headers["Authorization"])
            self.send_error(500)

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server_of_keys:
        thread = threading.Thread(target=server_of_keys.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        with pytest.raises(RunError):
            generated(target(f"http://127.0.0.1:{server_of_keys.server_port}", protocol))
        server_of_keys.shutdown()
        thread.join()
    assert set(shown) == {None}


@pytest.mark.parametrize("protocol", list(Protocol))
def test_silence_is_no_answer(protocol: Protocol) -> None:
    said = "no answer to the first generation within 1 s"
    with truth_server({"faults": [{"kind": "silence"}]}) as server, pytest.raises(RunError, match=said) as caught:
        generated(target(server.url, protocol), seconds=1)
    assert caught.value.failure.reason == "NoAnswer"


@pytest.mark.parametrize("protocol", [Protocol.TGI, Protocol.OPENAI_CHAT])
@pytest.mark.parametrize("kind", ["unavailable", "bad-json", "half-chunk", "error-event"])
def test_what_only_the_hubs_client_cannot_do_is_a_complaint(kind: str, protocol: Protocol) -> None:
    with truth_server({"faults": [{"kind": kind, "requests": 1}]}) as server:
        _, complaint = generated(target(server.url, protocol))
    assert complaint is not None
    assert complaint.startswith("huggingface_hub's client could not generate: ")
    assert "\n" not in complaint


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("apache-2.0", "apache-2.0"),
        ("x" * 5000, "… " + "x" * 62),
        ("m\x1b[2J\nit", "m�[2J it"),
        ("", None),
        (None, None),
    ],
)
def test_a_licence_is_anybodys_text(stated: str | None, shown: str | None) -> None:
    information = ModelInfo(id="org/name", cardData={} if stated is None else {"license": stated})
    assert facts_of(information).get("licence") == shown
