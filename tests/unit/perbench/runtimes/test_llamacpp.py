import re
from pathlib import Path

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes import RUNTIMES
from perbench.runtimes.base import MemoryOrigin
from perbench.runtimes.llamacpp import LlamaCpp

# recorded: xllamacpp 2026.10.11549, GET /metrics after a load (help and type lines left out)
METRICS = Path(__file__).parent / "llamacpp-metrics.txt"


def test_it_is_found_by_its_name() -> None:
    assert isinstance(RUNTIMES[RuntimeName.LLAMA_CPP], LlamaCpp)


def test_every_api_has_a_protocol() -> None:
    for runtime in RUNTIMES.values():
        assert set(runtime.protocols) == set(PromptApi)
    assert LlamaCpp.protocols[PromptApi.CHAT] is Protocol.OPENAI_CHAT
    assert LlamaCpp.protocols[PromptApi.COMPLETION] is Protocol.OPENAI


def test_its_metric_names_are_those_a_server_exports() -> None:
    exported = set(re.findall(r"^(\S+) [0-9.]+$", METRICS.read_text(), re.MULTILINE))
    assert len(LlamaCpp.metrics.names) == 5
    assert set(LlamaCpp.metrics.names) <= exported


def test_arguments_in_a_container_end_with_the_users_own() -> None:
    words = LlamaCpp().arguments("/models/m.gguf", ["-np", "4"])
    assert words[-2:] == ("-np", "4")
    assert words[: words.index("--metrics")] == ("--model", "/models/m.gguf", "--host", "0.0.0.0", "--port", "8080")
    assert "--no-cache-prompt" in words


def test_every_request_asks_for_no_cache() -> None:
    assert LlamaCpp().request_additions() == {"cache_prompt": False}
    assert LlamaCpp.memory_origin is MemoryOrigin.PROCESSES
