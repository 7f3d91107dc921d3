from pathlib import Path

import pytest

from perbench.api.load import PromptApi
from perbench.api.models import ModelSpec, Protocol
from perbench.api.serving import EnvVar, Runtime, Serving
from perbench.api.tasks import Dataset, InlineItem, Preset, Scorer, Scoring, Synthetic, TaskSpec
from perbench.failures import UsageError
from perbench.local.llamacpp_model import READY_SECONDS, RunningLlamaCpp, find_llamacpp, longest_request
from perbench.local.server import start_server
from perbench.local.serving import Served
from perbench.runtimes.llamacpp_local import TEMPLATE_TOKENS, Surroundings
from perbench_bench.tasks import resolve

AROUND = Surroundings(cores=2, concurrency=4, tokens_per_request=200)


def served(*args: str, env: dict[str, str] | None = None, substituted_for: Runtime | None = None) -> Served:
    serving = Serving(
        runtime=Runtime.LLAMA_CPP,
        args=args,
        env=tuple(EnvVar(name=name, value=value) for name, value in (env or {}).items()),
    )
    return Served(ModelSpec(name="smol", model="packaged:smollm2-135m"), serving, substituted_for)


def test_what_is_recorded_before_the_start() -> None:
    model = find_llamacpp(served("-np", "2"), Path(), PromptApi.CHAT, AROUND)
    record = model.record
    assert (record.name, record.runtime, record.substituted_for) == ("smol", "LlamaCpp", None)
    assert record.source["kind"] == "Packaged"
    assert record.server_arguments["--parallel"] == 2
    assert record.server_arguments["--ctx-size"] == 512
    assert (record.throughput_unit, record.units, record.memory_basis) == ("server", 1, "Footprint")


def test_a_substitute_is_recorded_as_one() -> None:
    model = find_llamacpp(served(substituted_for=Runtime.TGI), Path(), PromptApi.CHAT, AROUND)
    assert model.record.substituted_for == "TGI"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (served("-ngl", "9"), "model smol: serving.args: '-ngl' is no flag"),
        (served(env={"LLAMA_ARG_NP": "1"}), "model smol: serving.env: LLAMA_ARG_NP has no effect"),
    ],
)
def test_a_mistake_is_told_with_the_models_name(entry: Served, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_llamacpp(entry, Path(), PromptApi.CHAT, AROUND)
    assert str(caught.value).startswith(said)


def test_the_context_fits_the_longest_request_of_any_task() -> None:
    scoring = Scoring(scorer=Scorer.CONTAINS)
    items = tuple(InlineItem(input=text, answers=("x",)) for text in ("short", "7" * 300))
    long = resolve(TaskSpec(name="long", dataset=Dataset(inline=items, scoring=scoring), max_tokens=10), None)
    packaged = resolve(TaskSpec(name="packaged", preset=Preset.PACKAGED_ANSWERS, max_tokens=10), None)
    synthetic = resolve(
        TaskSpec(name="synthetic", synthetic=Synthetic(input_tokens=1000, output_tokens=50), limit=4), None
    )
    assert longest_request([packaged, long]) == TEMPLATE_TOKENS + 300 + 10
    assert longest_request([long, synthetic]) == TEMPLATE_TOKENS + 1500 + 50


def test_a_model_that_runs(tmp_path: Path) -> None:
    model = find_llamacpp(served("-c", "600", env={"A": "b", "HF_TOKEN": "hf_x"}), Path(), PromptApi.COMPLETION, AROUND)
    running = RunningLlamaCpp(model, start_server(model.start_with, tmp_path / "log", READY_SECONDS))
    try:
        assert running.failure() is None
        target = running.target
        assert (target.url, target.protocol) == (running.server.url, Protocol.OPENAI)
        assert target.extra_body == {"cache_prompt": False}
        assert target.counts_end_token is True
        assert running.memory.process_ids == (running.server.pid,)
        assert running.ready_seconds > 0
        record = running.recorded(model.record)
    finally:
        running.stop()
    assert record.runtime_version is not None
    assert record.runtime_version.startswith("xllamacpp 20")
    # llama.cpp rounds 150 tokens per slot up; what holds is what is recorded beside what was asked for.
    assert (record.server_arguments["--ctx-size"], record.server_arguments["contextPerSlot"]) == (600, 256)
    assert record.server_arguments["environment"] == {"GOMP_SPINCOUNT": "1000", "A": "b", "HF_TOKEN": "…"}
    assert not running.server.alive()
