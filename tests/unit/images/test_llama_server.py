"""The llama.cpp image's entry point takes what the operator gives it, and refuses what it does not serve."""

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from perbench.failures import UsageError
from perbench.local.sources import find_model
from perbench.runtimes.base import Duty, ModelPlace
from perbench.runtimes.llamacpp import LlamaCpp
from perbench.runtimes.llamacpp_local import LocalSettings
from tests.images.llamacpp.llama_server import Start, read
from tests.support.contract_server import ROOT
from tests.support.ports import free_port
from tests.support.processes import Process, nothing_stays, wait_until


def test_the_runtimes_words_are_taken() -> None:
    args = ("-np", "8", "-c", "4096", "-t", "2", "-ctk", "q8_0", "-fa", "on")
    words = LlamaCpp().arguments(Duty("a", ModelPlace("/models/a.gguf"), args, concurrency=4))
    settings = LocalSettings(slots=8, context=4096, threads=2, cache_type_k="q8_0", flash_attention="on")
    assert read(words, cores=4) == Start(
        settings, "/models/a.gguf", "0.0.0.0", 8080, metrics=True, cache_prompt=False, cache_mib=0
    )


def test_the_words_for_accelerators_are_taken() -> None:
    """A pod may have an accelerator that is only counted."""
    words = LlamaCpp().arguments(Duty("a", ModelPlace("/models/a.gguf"), accelerators=1, concurrency=4))
    assert read(words, cores=4).gpu_layers > 0


def test_without_flags_the_values_are_llama_servers() -> None:
    assert read(["-m", "a.gguf"], cores=4) == Start(LocalSettings(slots=4, context=0, threads=4), "a.gguf")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo"], "invalid argument: --foo"),
        (["-m"], "expected value for argument: -m"),
        (["-m", "a", "--port", "99999"], "error while handling argument '--port': 99999"),
        (["-m", "a", "-np", "0"], "llama-server: -np 0: must be 1 to 256"),
        (["-np", "1"], "this image needs a model: --model FILE"),
    ],
)
def test_other_words_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        read(words, cores=1)
    assert str(refusal.value) == message


def test_its_environment_variables_are_refused() -> None:
    command = [sys.executable, "-m", "tests.images.llamacpp.llama_server", "-m", "a.gguf"]
    environment = {**os.environ, "LLAMA_ARG_CTX_SIZE": "1024"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "LLAMA_ARG_CTX_SIZE has no effect" in done.stderr


def test_it_answers_and_ends(tmp_path: Path) -> None:
    model = find_model("packaged:smollm2-135m", None, Path(), "model").path
    port = free_port()
    words = [*LlamaCpp().arguments(Duty("a", ModelPlace(str(model)), ("-c", "512", "-t", "1"), concurrency=1))]
    words[words.index("--host") + 1], words[words.index("--port") + 1] = "127.0.0.1", str(port)
    command = [sys.executable, "-m", "tests.images.llamacpp.llama_server", *words]
    log = tmp_path / "log"
    with nothing_stays(), log.open("wb") as out, Process(command, cwd=ROOT, stdout=out, stderr=out) as process:
        try:
            wait_until(lambda: get(port, "/health") == 200, "it is ready", seconds=120)
            assert get(port, "/metrics") == 200
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            body = json.dumps({"prompt": "Once upon", "max_tokens": 4, **LlamaCpp().request_additions()})
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            assert json.loads(connection.getresponse().read())["usage"]["completion_tokens"] == 4
            connection.close()
            process.terminate()
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()
