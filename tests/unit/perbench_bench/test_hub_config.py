"""What the memory of accelerators is computed from, out of a double of the hub."""

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from perbench.plan import HubModel
from perbench_bench import hub_config
from perbench_bench.hub_config import LARGEST, model_files
from tests.support.hub import COMMIT, Repository, hub
from tests.support.model_configs import LLAMA_3_8B

SOURCE = {"kind": "Hub", "model": "org/name", "revision": COMMIT, "bytes": 1000}


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def test_the_config_is_fetched_at_the_commit_that_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository({"config.json": json.dumps(LLAMA_3_8B).encode()})
    with hub({"org/name": repository}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        files = model_files(HubModel(id="org/name", revision="main"), SOURCE)
    assert (files.weight_bytes, files.config) == (1000, LLAMA_3_8B)
    assert f"GET /org/name/resolve/{COMMIT}/config.json" in repository.requests


def test_before_a_commit_is_known_the_given_revision_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository({"config.json": b"{}"})
    with hub({"org/name": repository}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        files = model_files(HubModel(id="org/name", revision="main"), {"bytes": 5})
    assert (files.weight_bytes, files.config) == (5, {})
    assert "GET /org/name/resolve/main/config.json" in repository.requests


@pytest.mark.parametrize(
    "content", [b"no json", b"[]", b'{"a": "' + b"x" * LARGEST + b'"}'], ids=["text", "list", "large"]
)
def test_what_is_no_config_is_a_reason(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository({"config.json": content})}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        files = model_files(HubModel(id="org/name"), SOURCE)
    assert (files.weight_bytes, files.config) == (1000, None)
    assert files.reason.startswith("the hub gave no config.json: ")


@pytest.mark.parametrize("repository", [None, Repository({"config.json": b"{}"}, gated=True)])
def test_a_model_that_the_hub_does_not_give_is_a_reason(
    repository: Repository | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hub({"org/name": repository} if repository else {}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        files = model_files(HubModel(id="org/name"), SOURCE)
    assert files.config is None
    assert "\n" not in files.reason


def test_a_hub_out_of_reach_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    files = model_files(HubModel(id="org/name"), SOURCE)
    assert (files.weight_bytes, files.config) == (1000, None)
    assert files.reason.startswith("the hub gave no config.json: ")


class Dripping(BaseHTTPRequestHandler):
    """A byte every now and then, for as long as somebody reads."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Nothing."""


def test_a_hub_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_config, "TIMEOUT_SECONDS", 2.0)
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        files = model_files(HubModel(id="org/name"), SOURCE)
        server.shutdown()
    assert files.reason == "the hub gave no config.json: TimeoutError: it takes longer than 2 s"


def test_a_hub_that_did_not_say_how_large_the_weights_are_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository({"config.json": b"{}"})
    with hub({"org/name": repository}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        files = model_files(HubModel(id="org/name"), {"kind": "Hub", "model": "org/name"})
    assert (files.weight_bytes, files.config) == (None, None)
    assert repository.requests == []


def test_a_model_that_is_not_of_the_hub_is_not_asked_for() -> None:
    files = model_files(None, {"kind": "Volume"})
    assert (files.weight_bytes, files.config, files.reason) == (None, None, "the model's files are not at the hub")
