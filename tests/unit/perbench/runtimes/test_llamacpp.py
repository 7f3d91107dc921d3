import re
from pathlib import Path
from typing import Any

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.tasks import TaskSpec
from perbench.resources import MemoryOrigin
from perbench.runtimes.base import Duty, ModelPlace
from perbench.runtimes.llamacpp import LlamaCpp
from perbench.runtimes.llamacpp_local import TEMPLATE_TOKENS, known_request_tokens

# recorded: xllamacpp 2026.10.11549, GET /metrics after a load (help and type lines left out)
METRICS = Path(__file__).parent / "llamacpp-metrics.txt"
FILE = ModelPlace("/models/m.gguf")


def test_it_is_spoken_to_in_openais_words() -> None:
    assert LlamaCpp.protocols[PromptApi.CHAT] is Protocol.OPENAI_CHAT
    assert LlamaCpp.protocols[PromptApi.COMPLETION] is Protocol.OPENAI


def test_its_metric_names_are_those_a_server_exports() -> None:
    exported = set(re.findall(r"^(\S+) [0-9.]+$", METRICS.read_text(), re.MULTILINE))
    assert len(LlamaCpp.metrics.names) == 5
    assert set(LlamaCpp.metrics.names) <= exported


def test_arguments_in_a_container_end_with_the_users_own() -> None:
    words = LlamaCpp().arguments(Duty("m", FILE, ("-c", "4096"), concurrency=8))
    assert words[-2:] == ("-c", "4096")
    assert words[: words.index("--metrics")] == ("--model", "/models/m.gguf", "--host", "0.0.0.0", "--port", "8080")
    assert words[words.index("--parallel") + 1] == "8"
    assert "--no-cache-prompt" in words
    assert "--gpu-layers" not in words


def test_a_model_of_the_hub_is_asked_for_there() -> None:
    duty = Duty("m", ModelPlace("org/m-GGUF"))
    assert LlamaCpp().arguments(duty)[:2] == ("--hf-repo", "org/m-GGUF")
    assert LlamaCpp().home(duty)["LLAMA_CACHE"].startswith("/data/")
    assert LlamaCpp().mistake(duty) is None
    at_a_commit = Duty("m", ModelPlace("org/m-GGUF", "abc"))
    assert str(LlamaCpp().mistake(at_a_commit)).startswith("revision: llama-server always takes the main branch")


def test_slots_are_the_users_where_he_says_so() -> None:
    own: list[Duty] = [
        Duty("m", FILE, ("-np", "2"), concurrency=8),
        Duty("m", FILE, ("--parallel=2",), concurrency=8),
        Duty("m", FILE, variables={"LLAMA_ARG_N_PARALLEL": "2"}, concurrency=8),
        Duty("m", FILE, most_in_flight=4096),  # an open loop
    ]
    for duty in own:
        assert LlamaCpp().arguments(duty).count("--parallel") == 0
    many = LlamaCpp().arguments(Duty("m", FILE, concurrency=1000))
    assert many[many.index("--parallel") + 1] == "256"


def test_each_slot_has_the_context_of_the_longest_request_where_that_is_known() -> None:
    def context(**about: Any) -> str | None:
        words = LlamaCpp().arguments(Duty("m", FILE, **about))
        return words[words.index("--ctx-size") + 1] if "--ctx-size" in words else None

    assert context(concurrency=8, request_tokens=700) == str(8 * 768)
    assert context(concurrency=8) is None
    assert context(request_tokens=700) is None, "an open loop: the slots are the server's own affair"
    for own in ({"args": ("-c", "4096")}, {"args": ("-np", "2")}, {"variables": {"LLAMA_ARG_CTX_SIZE": "4096"}}):
        assert context(concurrency=8, request_tokens=700, **own) is None


def tasks(*entries: dict[str, Any]) -> tuple[TaskSpec, ...]:
    return tuple(TaskSpec.model_validate({"name": f"t{number}", **entry}) for number, entry in enumerate(entries))


def test_requests_are_known_where_all_prompts_stand_in_the_benchmark() -> None:
    items = [{"input": "aa" * 50, "answers": ["b"]}, {"input": "b", "answers": ["b"]}]
    inline = {"dataset": {"inline": items, "scoring": {"scorer": "Contains"}}, "maxTokens": 10}
    synthetic = {"synthetic": {"inputTokens": 100, "outputTokens": 20}}
    assert known_request_tokens(tasks(inline)) == TEMPLATE_TOKENS + 50 + 10
    assert known_request_tokens(tasks(inline, synthetic)) == TEMPLATE_TOKENS + 150 + 20
    by_a_template = {**inline, "dataset": {**inline["dataset"], "prompt": "Say {{ input }}"}}  # type: ignore[dict-item]
    for elsewhere in ({"preset": "PackagedTopics"}, by_a_template):
        assert known_request_tokens(tasks(synthetic, elsewhere)) is None


def test_with_accelerators_every_layer_is_on_them() -> None:
    words = LlamaCpp().arguments(Duty("m", FILE, accelerators=1))
    assert words[words.index("--gpu-layers") + 1] == "999"
    assert "--gpu-layers" not in LlamaCpp().arguments(Duty("m", FILE, ("-ngl", "20"), accelerators=1))


def test_the_cache_of_prompts_is_off_unless_it_is_wanted() -> None:
    assert LlamaCpp().request_additions() == {"cache_prompt": False}
    assert LlamaCpp().request_additions(prefix_cache=True) == {"cache_prompt": True}
    assert "--no-cache-prompt" not in LlamaCpp().arguments(Duty("m", FILE, prefix_cache=True))


def test_its_memory_is_that_of_its_processes_on_the_cpu() -> None:
    assert LlamaCpp().memory_origin(0) is MemoryOrigin.PROCESSES
    assert LlamaCpp().memory_origin(1) is MemoryOrigin.DEVICE
