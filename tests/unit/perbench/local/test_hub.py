import hashlib
import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

from perbench.failures import Blame, RunError, UsageError
from perbench.local.hub import find_hub_model
from perbench.local.sources import find_model
from tests.support.hub import COMMIT, Repository, hub

WHERE = "spec.models[0].model"
GGUF = b"GGUF\x03\x00\x00\x00" + bytes(64)
FILES = {"README.md": b"#", "Model-Q8_0.gguf": GGUF + b"8", "Model-Q4_K_M.gguf": GGUF}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    return tmp_path


def refusal(endpoint: str, monkeypatch: pytest.MonkeyPatch, revision: str | None = None) -> str:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises((UsageError, RunError)) as caught:
        find_hub_model("org/name", revision, WHERE)
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, RunError):
        assert caught.value.failure.blame is Blame.INFRASTRUCTURE
        return f"{caught.value.failure.reason}: {caught.value}"
    return str(caught.value)


def test_the_chosen_file_is_fetched_at_the_commit_and_recorded(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(FILES, licence="apache-2.0")
    with hub({"org/name": repository}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        found = find_model("org/name", None, Path(), WHERE)
    assert found.path.read_bytes() == GGUF
    assert cache in found.path.parents
    assert found.record() == {
        "kind": "Hub",
        "model": "org/name",
        "file": "Model-Q4_K_M.gguf",
        "bytes": len(GGUF),
        "sha256": hashlib.sha256(GGUF).hexdigest(),
        "revision": COMMIT,
        "licence": "apache-2.0",
    }
    assert f"GET /org/name/resolve/{COMMIT}/Model-Q4_K_M.gguf" in repository.requests


def test_what_is_in_the_cache_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    repository = Repository(FILES)
    with hub({"org/name": repository}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        find_hub_model("org/name", "main", WHERE)
        repository.requests.clear()
        find_hub_model("org/name", "main", WHERE)
    assert [request for request in repository.requests if "resolve" in request] == []


def test_no_such_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({}) as endpoint:
        assert refusal(endpoint, monkeypatch).startswith(f"{WHERE}: org/name: is not at the hub, or is private")


def test_no_such_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository(FILES)}) as endpoint:
        assert refusal(endpoint, monkeypatch, "v9") == f"{WHERE}: org/name: has no branch, tag or commit v9"


def test_a_gated_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository(FILES, gated=True)}) as endpoint:
        assert "is gated: accept its terms" in refusal(endpoint, monkeypatch)


def test_no_gguf_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository({"model.safetensors": b"x"})}) as endpoint:
        said = refusal(endpoint, monkeypatch)
    assert "has no GGUF file at c0ffee0000" in said
    assert "-GGUF" in said


def test_a_model_in_parts_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository({"M-Q4_0-00001-of-00002.gguf": GGUF})}) as endpoint:
        assert "in several parts only" in refusal(endpoint, monkeypatch)


def test_a_file_that_is_no_gguf_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository({"M-Q4_0.gguf": b"<html>"})}) as endpoint:
        assert "is not a GGUF file" in refusal(endpoint, monkeypatch)


def test_a_file_that_is_not_what_the_hub_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({"org/name": Repository(FILES, stated_sha256="0" * 64)}) as endpoint:
        assert refusal(endpoint, monkeypatch).startswith("DownloadFailed: ")


def test_the_hub_is_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({}, status=500) as endpoint:
        assert refusal(endpoint, monkeypatch).startswith("HubUnreachable: org/name: the hub does not answer")


def test_the_hub_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        assert refusal(endpoint, monkeypatch).startswith("HubUnreachable: org/name: the hub does not answer")


def test_offline_by_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in refusal("http://127.0.0.1:9", monkeypatch)


def test_a_malformed_id(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({}) as endpoint:
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(UsageError, match="no id of a model"):
            find_hub_model("org/na--me", None, WHERE)
