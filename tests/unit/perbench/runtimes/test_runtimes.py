"""What holds of every model server, and what each is told."""

from collections.abc import Mapping, Sequence

import pytest

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes import RUNTIMES, runtime_of
from perbench.runtimes.base import HUB_HOME, SCRATCH, Duty, ModelPlace, Runtime
from perbench.runtimes.images import IMAGES
from perbench.runtimes.metrics import FAMILIES

HUB = ModelPlace("org/m", "v1")
EVERY = list(RUNTIMES.values())
NAMED = [str(runtime.name) for runtime in EVERY]
CONTRACT_PORTS = range(1024, 65536)


def value_after(words: Sequence[str], flag: str) -> str:
    return words[words.index(flag) + 1]


def told(runtime: Runtime, duty: Duty) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """All its words, and its variables."""
    return (*runtime.command(), *runtime.arguments(duty)), {**runtime.environment(duty), **runtime.home(duty)}


def test_each_has_its_class() -> None:
    assert set(RUNTIMES) == set(RuntimeName) == set(IMAGES)
    for name in RuntimeName:
        assert runtime_of(name).name is name


@pytest.mark.parametrize("runtime", EVERY, ids=NAMED)
def test_it_is_whole(runtime: Runtime) -> None:
    assert set(runtime.protocols) == set(PromptApi)
    assert runtime.port in CONTRACT_PORTS  # a user other than root may listen there
    assert runtime.health_path.startswith("/")
    assert runtime.metrics in {None, *FAMILIES}
    assert runtime.stop_seconds >= 30
    assert runtime.can_force_length is (runtime.name is not RuntimeName.TGI)


@pytest.mark.parametrize("runtime", EVERY, ids=NAMED)
def test_it_writes_only_where_it_may(runtime: Runtime) -> None:
    home = runtime.home(Duty("m", HUB))
    paths = [value for value in home.values() if value.startswith("/")]
    assert paths
    assert all(path == root or path.startswith(f"{root}/") for path in paths for root in [f"/{path.split('/')[1]}"])
    assert {f"/{path.split('/')[1]}" for path in paths} <= {SCRATCH, HUB_HOME}
    assert home["HOME"] == SCRATCH


@pytest.mark.parametrize("runtime", EVERY, ids=NAMED)
def test_without_a_way_to_the_hub_it_is_told_so(runtime: Runtime) -> None:
    assert runtime.home(Duty("m", HUB, offline=True))["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in runtime.home(Duty("m", HUB))


@pytest.mark.parametrize("runtime", EVERY, ids=NAMED)
def test_the_users_words_come_last_and_as_they_are(runtime: Runtime) -> None:
    assert runtime.arguments(Duty("m", ModelPlace("/m.gguf"), ("--x", "1")))[-2:] == ("--x", "1")


@pytest.mark.parametrize("runtime", [r for r in EVERY if r.name is not RuntimeName.LLAMA_CPP], ids=str)
def test_model_revision_and_port_reach_it(runtime: Runtime) -> None:
    words, variables = told(runtime, Duty("m", HUB))
    said = {*words, *variables.values()}
    assert {"org/m", "v1", str(runtime.port)} <= said
    words, variables = told(runtime, Duty("m", ModelPlace("/model/x")))
    assert "/model/x" in {*words, *variables.values()}
    assert not any("revision" in word.lower() for word in (*words, *variables))


@pytest.mark.parametrize("runtime", EVERY, ids=NAMED)
def test_what_perbench_sets_is_not_the_users_to_set(runtime: Runtime) -> None:
    for flag in runtime.own_flags:
        for words in ((flag, "1"), (f"{flag}=1",)):
            assert runtime.mistake(Duty("m", ModelPlace("/m"), words)) == (
                f"serving.args: {flag} is set by perbench: leave it out"
            )
    for name in runtime.own_variables:
        assert runtime.mistake(Duty("m", ModelPlace("/m"), variables={name: "1"})) == (
            f"serving.env: {name} is set by perbench: leave it out"
        )
    assert runtime.mistake(Duty("m", ModelPlace("/m"), ("--other", "1"), {"OTHER": "1"})) is None


@pytest.mark.parametrize(
    ("name", "resource", "reference"),
    [
        ("TGI", "nvidia.com/gpu", "ghcr.io/huggingface/text-generation-inference:3.3.7"),
        ("TGI", "nvidia.com/mig-1g.10gb", "ghcr.io/huggingface/text-generation-inference:3.3.7"),
        ("TGI", "amd.com/gpu", "ghcr.io/huggingface/text-generation-inference:3.3.7-rocm"),
        ("TGI", None, "ghcr.io/huggingface/text-generation-inference:3.3.7-intel-cpu"),
        ("TGI", "example.com/npu", None),
        ("VLLM", "nvidia.com/gpu", "vllm/vllm-openai:v0.33.0"),
        ("VLLM", None, None),
        ("SGLang", "nvidia.com/gpu", "lmsysorg/sglang:v0.5.23"),
        ("LlamaCpp", None, "ghcr.io/ggml-org/llama.cpp:server"),
        ("LlamaCpp", "nvidia.com/gpu", "ghcr.io/ggml-org/llama.cpp:server-cuda"),
        ("Custom", "nvidia.com/gpu", None),
    ],
)
def test_images(name: str, resource: str | None, reference: str | None) -> None:
    image = runtime_of(RuntimeName(name)).image_for(resource)
    assert (image.reference if image else None) == reference


def test_tgi_is_told_by_variables() -> None:
    tgi = runtime_of(RuntimeName.TGI)
    assert tgi.arguments(Duty("m", HUB)) == ()
    variables = tgi.environment(Duty("m", HUB, accelerators=2, most_in_flight=500, concurrency=500))
    assert variables["MODEL_ID"] == "org/m"
    assert variables["NUM_SHARD"] == "2"
    assert variables["MAX_CONCURRENT_REQUESTS"] == "516"  # one that is given up holds its place a little longer
    assert variables["PREFIX_CACHING"] == "0"
    assert variables["USAGE_STATS"] == "off"
    assert variables["HOSTNAME"] == "0.0.0.0"  # in a pod it would be the pod's name
    least = tgi.environment(Duty("m", HUB, prefix_cache=True))
    assert (least["NUM_SHARD"], least["MAX_CONCURRENT_REQUESTS"]) == ("1", "128")
    assert "PREFIX_CACHING" not in least
    assert tgi.protocols == {PromptApi.COMPLETION: Protocol.TGI, PromptApi.CHAT: Protocol.OPENAI_CHAT}


def test_tgi_has_time_for_both_of_its_graceful_ends() -> None:
    tgi = runtime_of(RuntimeName.TGI)
    assert tgi.stop_seconds >= 2 * int(tgi.environment(Duty("m", HUB))["GRACEFUL_TERMINATION_TIMEOUT"]) + 10


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("ghcr.io/huggingface/text-generation-inference:3.3.7", 0),
        ("registry.example.org:5000/mirror/text-generation-inference@sha256:" + "0" * 64, 0),
        ("perb.local/tgi-contract:dev", 65532),
        ("registry.example.org/text-generation-inference-mended:3.3.7", 65532),
    ],
)
def test_tgis_own_images_need_root(image: str, user: int) -> None:
    assert runtime_of(RuntimeName.TGI).user(image) == user


@pytest.mark.parametrize("word", ["two words", "*.json", "a[1]", "tab\there"])
def test_tgi_refuses_words_that_its_entry_point_would_split(word: str) -> None:
    mistake = runtime_of(RuntimeName.TGI).mistake(Duty("m", HUB, ("--x", word)))
    assert mistake is not None
    assert repr(word) in mistake
    assert "serving.env" in mistake


def test_vllm() -> None:
    vllm = runtime_of(RuntimeName.VLLM)
    words = vllm.arguments(Duty("name", HUB, accelerators=4, most_in_flight=4096))
    assert vllm.command() == ("vllm", "serve")
    assert words[0] == "org/m"
    assert value_after(words, "--served-model-name") == "name"
    assert value_after(words, "--tensor-parallel-size") == "4"
    assert value_after(words, "--max-num-seqs") == "256"  # an open loop has no number of its own
    assert "--no-enable-prefix-caching" in words
    assert value_after(vllm.arguments(Duty("m", HUB, concurrency=300)), "--max-num-seqs") == "300"
    assert value_after(vllm.arguments(Duty("m", HUB, concurrency=4096)), "--max-num-seqs") == "1024"  # 4,096: no start
    assert "--enable-prefix-caching" in vllm.arguments(Duty("m", HUB, prefix_cache=True))
    assert vllm.environment(Duty("m", HUB))["VLLM_NO_USAGE_STATS"] == "1"
    assert vllm.request_model(Duty("name", HUB)) == "name"


def test_sglang() -> None:
    sglang = runtime_of(RuntimeName.SGLANG)
    words = sglang.arguments(Duty("name", HUB, accelerators=2))
    assert value_after(words, "--model-path") == "org/m"
    assert value_after(words, "--tp-size") == "2"
    assert value_after(words, "--host") == "0.0.0.0"
    assert "--enable-metrics" in words
    assert "--disable-radix-cache" in words
    assert "--disable-radix-cache" not in sglang.arguments(Duty("name", HUB, prefix_cache=True))


def test_custom_is_told_by_the_variables_of_its_convention() -> None:
    custom = runtime_of(RuntimeName.CUSTOM)
    duty = Duty("name", HUB, ("--fast",), accelerators=2)
    assert (custom.command(), custom.arguments(duty)) == ((), ("--fast",))
    expected = {"PORT": "8080", "MODEL_ID": "org/m", "REVISION": "v1", "ACCELERATORS": "2"}
    assert custom.environment(duty) == expected
    assert custom.request_model(duty) == "org/m"
    assert (custom.request_additions(), custom.request_additions(prefix_cache=True)) == ({}, {"cache_prompt": True})


@pytest.mark.parametrize("runtime", [name for name in RuntimeName if name is not RuntimeName.CUSTOM])
def test_a_secret_among_the_arguments_is_refused_because_results_are_passed_on(runtime: RuntimeName) -> None:
    mistake = runtime_of(runtime).mistake(Duty("m", ModelPlace("org/m"), args=("--hf-token=hf_x",)))
    assert mistake is not None
    assert "huggingFaceTokenSecretKeyRef" in mistake
