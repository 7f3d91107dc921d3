import pytest

from perbench.api.resource import BenchmarkSpec
from perbench.api.serving import Runtime
from perbench.failures import UsageError
from perbench.local.serving import parse_runtime, served_models

TASK = {"name": "topics", "preset": "PackagedTopics"}
ENDPOINT = {"url": "http://127.0.0.1:1", "protocol": "TGI"}


def spec(*models: dict[str, object], runtime: str | None = None) -> BenchmarkSpec:
    serving = {"runtime": runtime, "args": ["-np", "2"]} if runtime else None
    data = {"models": models, "tasks": [TASK], "load": {"concurrency": 4}}
    return BenchmarkSpec.model_validate(data | ({"serving": serving} if serving else {}))


A = {"name": "a", "model": "packaged:smollm2-135m"}
B = {"name": "b", "model": "packaged:smollm2-135m", "serving": {"runtime": "VLLM"}}
E = {"name": "e", "endpoint": ENDPOINT}


def test_what_can_be_started_is_served_as_written() -> None:
    (served,) = served_models(spec(A, runtime="LlamaCpp"), None)
    assert served.serving is not None
    assert served.serving.runtime is Runtime.LLAMA_CPP
    assert served.substituted_for is None


def test_the_default_runtime_cannot_be_started_and_the_substitute_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        served_models(spec(A, B, E), None)
    text = str(caught.value)
    assert text.startswith("serving.runtime TGI, VLLM cannot be started on this machine (a, b;")
    assert "--runtime LlamaCpp" in text
    assert "\n" not in text


def test_the_substitute_is_recorded_where_it_serves() -> None:
    a, b, e = served_models(spec(A, B, E), Runtime.LLAMA_CPP)
    assert (a.substituted_for, b.substituted_for, e.substituted_for) == (Runtime.TGI, Runtime.VLLM, None)
    assert b.serving is not None
    assert b.serving.runtime is Runtime.LLAMA_CPP


def test_asking_for_what_the_file_says_substitutes_nothing() -> None:
    (served,) = served_models(spec(A, runtime="LlamaCpp"), Runtime.LLAMA_CPP)
    assert served.substituted_for is None


def test_endpoints_need_no_runtime() -> None:
    (served,) = served_models(spec(E), None)
    assert served.serving is None
    assert served.endpoint is not None


def test_the_flag_takes_what_can_be_started() -> None:
    assert parse_runtime(None) is None
    assert parse_runtime("LlamaCpp") is Runtime.LLAMA_CPP
    with pytest.raises(UsageError, match="--runtime TGI: local mode starts LlamaCpp only"):
        parse_runtime("TGI")


def test_the_same_runtime_out_of_another_place_than_its_image_is_a_substitute() -> None:
    asked = A | {"serving": {"runtime": "LlamaCpp", "image": "llama:1"}}
    (served,) = served_models(spec(asked), Runtime.LLAMA_CPP)
    assert served.substituted_for is Runtime.LLAMA_CPP
