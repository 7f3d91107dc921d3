import pytest

from perbench.api import defaults
from perbench.api.defaults import (
    Resolved,
    client_of,
    execution_of,
    limit_of,
    max_tokens_of,
    resolve_defaults,
    serving_of,
)
from perbench.api.load import Arrival, ClientSpec, PromptApi, WarmupSpec
from perbench.api.reference import api_fields
from perbench.api.resource import BenchmarkSpec, to_data
from perbench.api.serving import Runtime, Serving
from perbench.api.tasks import PRESET_ITEMS, TaskSpec

MODELS = [{"name": "a", "model": "gpt2"}, {"name": "b", "model": "gpt2"}]
TASKS = [{"name": "topics", "preset": "PackagedTopics"}]


def spec(**parts: object) -> BenchmarkSpec:
    return BenchmarkSpec.model_validate({"models": MODELS, "tasks": TASKS} | parts)


def task(**parts: object) -> TaskSpec:
    return TaskSpec.model_validate({"name": "t"} | parts)


def test_nothing_said_in_a_cluster() -> None:
    assert resolve_defaults(spec(), local=False) == Resolved(
        api=PromptApi.COMPLETION, concurrency=8, repeats=3, max_seconds=1800, rounds=1, reference="a"
    )


def test_nothing_said_in_local_mode_means_three_rounds_of_one_repeat() -> None:
    resolved = resolve_defaults(spec(), local=True)
    assert (resolved.rounds, resolved.repeats) == (3, 1)


@pytest.mark.parametrize(("rounds", "repeats"), [(1, 3), (2, 3), (3, 1), (10, 1)])
def test_repeats_depend_on_rounds(rounds: int, repeats: int) -> None:
    for local in (True, False):
        resolved = resolve_defaults(spec(execution={"rounds": rounds}), local=local)
        assert (resolved.rounds, resolved.repeats) == (rounds, repeats)


def test_what_is_said_holds() -> None:
    load = {
        "api": "Chat",
        "concurrency": 2,
        "warmup": {"requests": 0, "seconds": 0},
        "repeats": 5,
        "maxSeconds": 60,
    }
    given = spec(load=load, per={"reference": "b"}, execution={"rounds": 4})
    assert resolve_defaults(given, local=True) == Resolved(
        api=PromptApi.CHAT,
        concurrency=2,
        warmup=WarmupSpec(requests=0, seconds=0),
        repeats=5,
        max_seconds=60,
        rounds=4,
        reference="b",
    )


def test_an_open_loop_is_said_whole() -> None:
    gamma = resolve_defaults(spec(load={"rate": "2.5", "arrival": "Gamma"}), local=True)
    assert (gamma.concurrency, gamma.rate, gamma.arrival, gamma.burstiness) == (None, "2.5", Arrival.GAMMA, "0.5")
    assert gamma.max_in_flight == 4096
    poisson = resolve_defaults(spec(load={"rate": 2, "maxInFlight": 5}), local=True)
    assert (poisson.arrival, poisson.burstiness, poisson.max_in_flight) == (Arrival.POISSON, None, 5)
    assert poisson.validity == defaults.VALIDITY
    strict = resolve_defaults(spec(load={"validity": {"onTimePercent": 99, "errorPercent": "0.5"}}), local=True)
    assert strict.concurrency == 8
    assert strict.validity.model_dump() == defaults.VALIDITY.model_dump() | {
        "on_time_percent": 99,
        "error_percent": "0.5",
    }


def test_unloaded_latency_asks_for_an_extra_stage_of_24_requests() -> None:
    for basis, requests in (("Unloaded", 24), ("Request", None), ("Reciprocal", None)):
        assert resolve_defaults(spec(per={"latencyBasis": basis}), local=True).unloaded_requests == requests


def test_tgi_without_arguments_serves_by_default() -> None:
    given = spec()
    serving = serving_of(given, given.models[0])
    assert serving is not None
    assert (serving.runtime, serving.args, serving.env) == (Runtime.TGI, (), ())


def test_a_models_serving_replaces_runtime_and_args_and_merges_env() -> None:
    common = {"runtime": "VLLM", "args": ["--x"], "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}
    own = {"runtime": "LlamaCpp", "args": [], "env": [{"name": "B", "value": "2"}, {"name": "C", "value": "2"}]}
    given = spec(models=[MODELS[0] | {"serving": own}, MODELS[1]], serving=common)
    first, second = (serving_of(given, model) for model in given.models)
    assert first is not None
    assert second is not None
    assert (first.runtime, first.args) == (Runtime.LLAMA_CPP, ())
    assert [(v.name, v.value) for v in first.env or ()] == [("A", "1"), ("B", "2"), ("C", "2")]
    assert (second.runtime, second.args) == (Runtime.VLLM, ("--x",))


def of(runtime: str) -> dict[str, object]:
    return {"image": f"mirror/{runtime.lower()}:1", "args": [f"--of-{runtime.lower()}"]}


def named(runtime: str) -> dict[str, object]:
    return {"runtime": runtime, **of(runtime)}


@pytest.mark.parametrize(
    ("platform", "common", "own", "expected"),
    [
        (of("TGI"), {}, {}, "tgi"),
        (of("TGI"), {}, {"runtime": "VLLM"}, None),
        (of("TGI"), {"runtime": "VLLM"}, {}, None),
        (of("TGI"), {"runtime": "VLLM"}, {"runtime": "TGI"}, "tgi"),
        (named("VLLM"), {}, {}, "vllm"),
        (named("VLLM"), {"runtime": "VLLM"}, {}, "vllm"),
        (named("VLLM"), {"runtime": "TGI"}, {}, None),
        (named("VLLM"), {"runtime": "TGI"}, {"runtime": "VLLM"}, "vllm"),
        ({}, named("Custom"), {"runtime": "Custom"}, "custom"),
        ({}, named("Custom"), {"runtime": "SGLang"}, None),
        (of("TGI"), {"runtime": "VLLM"}, of("VLLM"), "vllm"),
        (of("TGI"), named("VLLM"), named("SGLang"), "sglang"),
    ],
)
def test_image_and_args_hold_for_models_of_their_own_runtime(
    platform: dict[str, object], common: dict[str, object], own: dict[str, object], expected: str | None
) -> None:
    """The example of vLLM against TGI, in a cluster that has a registry's own copy of one of them."""
    given = spec(models=[MODELS[0] | {"serving": own}], serving=common)
    serving = serving_of(given, given.models[0], Serving.model_validate(platform))
    assert serving is not None
    image, args = (f"mirror/{expected}:1", (f"--of-{expected}",)) if expected else (None, ())
    assert (serving.image, serving.args) == (image, args)


def test_what_is_of_no_one_server_holds_for_every_runtime() -> None:
    common = {
        "runtime": "TGI",
        "env": [{"name": "HF_HUB_OFFLINE", "value": "1"}],
        **{name: value for name, (value, _) in REPLACED.items() if name != "image"},
    }
    given = spec(models=[MODELS[0] | {"serving": {"runtime": "VLLM"}}], serving=common)
    serving = serving_of(given, given.models[0])
    assert serving is not None
    assert to_data(serving) == common | {"runtime": "VLLM", "args": []}


def test_nobody_serves_an_endpoint() -> None:
    given = spec(models=[{"name": "a", "endpoint": {"url": "http://a", "protocol": "TGI"}}], serving={"args": ["--x"]})
    assert serving_of(given, given.models[0]) is None


CLAIM = {"claimName": "models"}
REPLACED: dict[str, tuple[object, object]] = {
    "image": ("a:1", "b:1"),
    "replicas": (2, 3),
    "accelerator": ({"resource": "a/gpu", "count": 1, "product": "p"}, {"resource": "a/gpu", "count": 2}),
    "tolerations": ([{"key": "a"}], []),
    "affinity": ({"podAffinity": {}}, {}),
    "runtimeClassName": ("a", "b"),
    "priorityClassName": ("a", "b"),
    "imagePullSecrets": ([{"name": "a"}], [{"name": "b"}]),
    "serviceAccountName": ("a", "b"),
    "huggingFaceTokenSecretKeyRef": ({"name": "a", "key": "k"}, {"name": "b", "key": "k"}),
    "modelCache": (CLAIM | {"readOnly": True}, {"emptyDir": {}}),
    "sharedMemory": ("1Gi", "2Gi"),
    "prefixCache": ("On", "Off"),
    "podPatch": ({"spec": {"hostname": "a"}}, {"metadata": {}}),
}
"""What the benchmark says for all, and a model for itself."""


@pytest.mark.parametrize("name", REPLACED)
def test_every_other_field_of_a_models_serving_replaces_the_benchmarks(name: str) -> None:
    common, own = REPLACED[name]
    given = spec(models=[MODELS[0] | {"serving": {name: own}}, MODELS[1]], serving={name: common})
    first, second = (serving_of(given, model) for model in given.models)
    assert first is not None
    assert second is not None
    assert (to_data(first)[name], to_data(second)[name]) == (own, common)


def test_every_field_of_serving_is_merged_or_replaced() -> None:
    merged = {"runtime", "args", "env", "nodeSelector", "resources"}
    assert set(REPLACED) | merged == {info.alias or name for name, info in Serving.model_fields.items()}


def test_variables_selectors_and_quantities_are_merged_by_name() -> None:
    common = {
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "nodeSelector": {"zone": "a", "disk": "fast"},
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
    }
    own = {
        "resources": {"requests": {"cpu": "4"}},
        "nodeSelector": {"zone": "b"},
        "env": [{"name": "B", "value": "2"}],
    }
    given = spec(models=[MODELS[0] | {"serving": own}], serving=common)
    platform = Serving(node_selector={"pool": "gpu", "zone": "c"}, image="platform:1")
    serving = serving_of(given, given.models[0], platform)
    assert serving is not None
    assert to_data(serving)["resources"] == {
        "requests": {"cpu": "4", "memory": "1Gi"},
        "limits": {"memory": "2Gi"},
    }
    assert serving.node_selector == {"pool": "gpu", "zone": "b", "disk": "fast"}
    assert [(v.name, v.value) for v in serving.env or ()] == [("A", "1"), ("B", "2")]
    assert serving.image == "platform:1"


def test_the_bench_pod_is_the_benchmarks_over_the_platforms_over_the_defaults() -> None:
    assert to_data(client_of(spec())) == {"resources": {"requests": {"cpu": "2", "memory": "1Gi"}}, "lingerSeconds": 65}
    platform = ClientSpec.model_validate(
        {"resources": {"limits": {"memory": "2Gi"}}, "nodeSelector": {"pool": "clients"}, "lingerSeconds": 10}
    )
    own = {"resources": {"requests": {"cpu": "200m"}}, "tolerations": [{"key": "a"}], "lingerSeconds": 0}
    client = client_of(spec(load={"client": own}), platform)
    assert to_data(client) == {
        "resources": {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
        "nodeSelector": {"pool": "clients"},
        "tolerations": [{"key": "a"}],
        "lingerSeconds": 0,
    }


def test_the_execution_is_filled_but_for_rounds() -> None:
    assert to_data(execution_of(spec())) == {
        "onModelFailure": "Continue",
        "retries": 2,
        "suspend": False,
        "keepModels": "Never",
        "historyLimit": 3,
        "deadlines": {"schedulingSeconds": 1800, "imageSeconds": 1800, "readySeconds": 3600, "totalSeconds": 86_400},
    }
    own = {
        "rounds": 3,
        "onModelFailure": "Stop",
        "retries": 0,
        "suspend": True,
        "keepModels": "OnFailure",
        "historyLimit": 0,
        "deadlines": {"readySeconds": 60},
    }
    filled = to_data(execution_of(spec(execution=own)))
    deadlines = {"schedulingSeconds": 1800, "imageSeconds": 1800, "readySeconds": 60, "totalSeconds": 86_400}
    assert filled == own | {"deadlines": deadlines}


INLINE = {"dataset": {"inline": [{"input": "q", "answers": ["a"]}] * 5, "scoring": {"scorer": "F1"}}}
SYNTHETIC = {"synthetic": {"inputTokens": 8, "outputTokens": 16}}
FILE = {"dataset": {"file": "a.jsonl", "scoring": {"scorer": "F1"}}}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"preset": "PackagedTopics"}, 48),
        ({"preset": "PackagedTopics", "limit": 7}, 7),
        ({"preset": "PackagedAnswers", "limit": 128}, 48),
        (FILE, None),
        (FILE | {"limit": 7}, 7),
        (SYNTHETIC, 200),
        (SYNTHETIC | {"limit": 7}, 7),
        (INLINE, 5),
        (INLINE | {"limit": 7}, 5),
        (INLINE | {"limit": 4}, 4),
    ],
)
def test_how_many_items(parts: dict[str, object], expected: int | None) -> None:
    assert limit_of(task(**parts)) == expected


def test_how_many_output_tokens() -> None:
    assert max_tokens_of(task(preset="PackagedTopics")) == 256
    assert max_tokens_of(task(preset="PackagedTopics", maxTokens=8)) == 8
    assert max_tokens_of(task(**SYNTHETIC)) == 16


def test_descriptions_tell_the_defaults() -> None:
    """The CRD has no `default:`, so the text is the only place where a user reads them."""
    told = {path: str(schema.get("description")) for path, schema, _ in api_fields()}
    for path, value in {
        "spec.load.api": defaults.API,
        "spec.load.concurrency": defaults.CONCURRENCY,
        "spec.load.repeats": defaults.REPEATS,
        "spec.load.maxSeconds": defaults.MAX_SECONDS,
        "spec.execution.rounds": defaults.ROUNDS,
        "spec.serving.runtime": defaults.RUNTIME,
        "spec.per.latencyBasis": defaults.LATENCY_BASIS,
        "spec.per.memoryBasis": defaults.MEMORY_BASIS,
        "spec.tasks[].maxTokens": defaults.MAX_TOKENS,
        "spec.load.client.lingerSeconds": defaults.CLIENT.linger_seconds,
        "spec.execution.onModelFailure": defaults.EXECUTION.on_model_failure,
        "spec.execution.retries": defaults.EXECUTION.retries,
        "spec.execution.historyLimit": defaults.EXECUTION.history_limit,
    }.items():
        assert f"Default {value}" in told[path]
    assert f"in local mode {defaults.LOCAL_ROUNDS}" in told["spec.execution.rounds"]
    assert f"extra stage of {defaults.UNLOADED_REQUESTS} requests" in told["spec.per.latencyBasis"]
    assert f"synthetic: {defaults.SYNTHETIC_LIMIT}" in told["spec.tasks[].limit"]
    for path in ("spec.tasks[].maxTokens", "spec.tasks[].synthetic.outputTokens"):
        assert f"TGI above {defaults.TGI_PIECE} a multiple of {defaults.TGI_PIECE}" in told[path]
    (items,) = set(PRESET_ITEMS.values())
    most = items // defaults.ITEMS_PER_SLOT
    assert f"{items} items, which is enough for a `load.concurrency` of {most}" in told["spec.tasks[].preset"]
