"""Which server serves a model, and what cannot be served in this cluster."""

from typing import Any

import pytest

from perbench.api.pods import Accelerator
from perbench.api.serving import Runtime
from perbench_operator.serving import Refused, Served, check_lengths, pinned, ran_on, serve
from tests.support.operator_cases import Case, small

GPU = {"resource": "nvidia.com/gpu", "count": 1}
ALLOWED = ("registry.example.org/", "docker.io/library/a@")
ENDPOINT = {"name": "e", "endpoint": {"url": "http://e", "protocol": "TGI"}}


def served(case: Case) -> Served:
    found = case.served
    assert found is not None
    return found


def refusal(case: Case) -> tuple[str, str]:
    with pytest.raises(Refused) as raised:
        serve(case.benchmark.spec, case.benchmark.spec.models[0], case.platform)
    assert "\n" not in raised.value.message
    assert str(raised.value) == raised.value.message
    return raised.value.reason, raised.value.message


@pytest.mark.parametrize(
    ("resource", "product", "products", "said"),
    [
        ("nvidia.com/gpu", None, ["NVIDIA-A100"], "2 x NVIDIA-A100"),
        ("nvidia.com/gpu", "NVIDIA-A100", [], "2 x NVIDIA-A100"),
        ("nvidia.com/gpu", None, [], "2 x nvidia.com/gpu"),
        ("nvidia.com/gpu", None, ["A100", "L40S"], "2 x A100, L40S"),
        ("nvidia.com/mig-1g.10gb", None, ["NVIDIA-A100"], "2 x NVIDIA-A100 (nvidia.com/mig-1g.10gb)"),
        ("nvidia.com/gpu.shared", "NVIDIA-T4", [], "2 x NVIDIA-T4 (nvidia.com/gpu.shared)"),
        ("nvidia.com/gpu.shared", None, [], "2 x nvidia.com/gpu.shared"),
    ],
)
def test_parts_and_shares_of_a_device_are_told_from_the_whole(
    resource: str, product: str | None, products: list[str], said: str
) -> None:
    assert ran_on(Accelerator(resource=resource, count=2, product=product), products) == said


def test_an_endpoint_is_served_by_somebody_else() -> None:
    assert small([ENDPOINT]).served is None


def test_a_length_of_answers_that_tgi_does_not_keep_is_refused() -> None:
    """Asked for 1,100 tokens it gives 2,048. That it is TGI may be known in the cluster only."""
    long = {"name": "long", "synthetic": {"inputTokens": 8, "outputTokens": 1100}}
    case = small(tasks=[long])
    with pytest.raises(Refused) as raised:
        check_lengths(case.benchmark.spec, served(case))
    assert raised.value.reason == "InvalidServing"
    assert raised.value.message.startswith("model a: task long: answers of TGI ")
    assert "1024" in raised.value.message
    kept = {**long, "synthetic": {"inputTokens": 8, "outputTokens": 2048}}
    for case in (small(platform={"serving": {"runtime": "VLLM"}}, tasks=[long]), small(tasks=[kept])):
        check_lengths(case.benchmark.spec, served(case))


def test_an_image_of_the_platform_is_that_of_its_own_server() -> None:
    platform = {"serving": {"image": "mirror/tgi:3.3.7"}}
    vllm = [{"name": "a", "model": "org/a", "serving": {"runtime": "VLLM"}}]
    found = served(small(vllm, platform))
    assert (found.runtime.name, found.image) == (Runtime.VLLM, served(small(vllm)).image)
    assert served(small(platform=platform)).image == "mirror/tgi:3.3.7"


def test_models_are_served_by_tgi_unless_the_benchmark_says_otherwise() -> None:
    found = served(small())
    assert (found.runtime.name, found.image) == (
        Runtime.TGI,
        "ghcr.io/huggingface/text-generation-inference:3.3.7",
    )
    assert (found.replicas, found.accelerators, found.prefix_cache) == (1, 1, False)


def test_the_models_serving_is_over_the_benchmarks_over_the_platforms() -> None:
    platform = {"serving": {"replicas": 2, "image": "low", "env": [{"name": "A", "value": "low"}]}}
    own = [{"name": "a", "model": "org/a", "serving": {"image": "high"}}]
    found = served(small(own, platform, serving={"env": [{"name": "A", "value": "middle"}]}))
    assert (found.image, found.replicas, found.duty.variables) == ("high", 2, {"A": "middle"})


@pytest.mark.parametrize(
    ("load", "most", "concurrency"),
    [
        ({}, 8, 8),
        ({"concurrency": 5}, 5, 5),
        ({"rate": 2}, 4096, None),
        ({"rate": 2, "maxInFlight": 100}, 100, None),
    ],
)
def test_the_server_is_told_how_much_may_come(load: dict[str, Any], most: int, concurrency: int | None) -> None:
    duty = served(small(load=load)).duty
    assert (duty.most_in_flight, duty.concurrency) == (most, concurrency)


@pytest.mark.parametrize(
    ("model", "name", "revision", "is_path"),
    [
        ({"model": "org/a"}, "org/a", None, False),
        ({"model": "org/a", "revision": "v1"}, "org/a", "v1", False),
        ({"model": "/models/a.gguf"}, "/models/a.gguf", None, True),
        ({"volume": {"claimName": "c", "path": "x/y"}}, "/model/x/y", None, True),
    ],
)
def test_places(model: dict[str, Any], name: str, revision: str | None, is_path: bool) -> None:
    place = served(small([{"name": "a", **model}])).duty.place
    assert (place.name, place.revision, place.is_path) == (name, revision, is_path)


def test_a_cache_that_cannot_be_written_means_no_downloads() -> None:
    assert served(small(serving={"modelCache": {"claimName": "c", "readOnly": True}})).duty.offline
    assert not served(small(serving={"modelCache": {"claimName": "c"}})).duty.offline


@pytest.mark.parametrize("model", ["./a.gguf", "packaged:smollm2-135m"])
def test_what_is_on_the_users_machine_is_not_in_the_cluster(model: str) -> None:
    reason, message = refusal(small([{"name": "a", "model": model}]))
    assert reason == "LocalOnly"
    assert message == (
        f"model a: {model} is read on the user's machine (perbench run), not in a cluster: give an id of the hub, a"
        " volume, or a path inside an image of your own"
    )


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        ({"runtime": "Custom"}, "model a: runtime Custom needs an image of your own: set serving.image"),
        (
            {"runtime": "VLLM", "accelerator": {"resource": "amd.com/gpu", "count": 1}},
            "model a: perbench knows no image of VLLM for amd.com/gpu: set serving.image",
        ),
    ],
)
def test_no_image(serving: dict[str, Any], message: str) -> None:
    assert refusal(small(serving=serving)) == ("ImageMissing", message)


def test_no_image_for_the_cpu() -> None:
    reason, message = refusal(small(serving={"runtime": "SGLang", "accelerator": None}))
    assert reason == "ImageMissing"
    assert message == (
        "model a: perbench knows no image of SGLang that computes on the CPU: set serving.accelerator, or name one in"
        " serving.image"
    )


@pytest.mark.parametrize("image", ["registry.example.org/a:1", "docker.io/library/a@sha256:00"])
def test_images_that_the_cluster_allows(image: str) -> None:
    platform = {"imagePrefixes": list(ALLOWED)}
    assert served(small(platform=platform, serving={"image": image})).image == image


@pytest.mark.parametrize("image", ["registry.example.orgx/a:1", "docker.io/library/a:1", "a"])
def test_images_that_it_does_not(image: str) -> None:
    platform = {"imagePrefixes": list(ALLOWED)}
    assert refusal(small(platform=platform, serving={"image": image})) == (
        "PolicyDenied",
        f"model a: image {image}: this cluster allows those that begin with {', '.join(ALLOWED)} only",
    )


def test_the_runtimes_own_image_is_no_exception() -> None:
    reason, message = refusal(small(platform={"imagePrefixes": ["registry.example.org/"]}))
    assert reason == "PolicyDenied"
    assert "ghcr.io/huggingface/text-generation-inference:3.3.7" in message


def test_patches_may_be_forbidden() -> None:
    patch = {"podPatch": {"spec": {"hostNetwork": True}}}
    assert refusal(small(platform={"podPatch": False}, serving=patch)) == (
        "PolicyDenied",
        "model a: serving.podPatch is not allowed in this cluster: leave it out",
    )
    assert served(small(serving=patch)).serving.pod_patch == {"spec": {"hostNetwork": True}}


def test_what_a_server_cannot_be_told() -> None:
    assert refusal(small(serving={"args": ["--port", "1"]})) == (
        "InvalidServing",
        "model a: serving.args: --port is set by perbench: leave it out",
    )


def test_a_product_needs_a_label_that_names_products() -> None:
    accelerator = {"accelerator": GPU | {"product": "A100"}}
    reason, message = refusal(small(serving=accelerator))
    assert reason == "InvalidServing"
    assert message == (
        "model a: accelerator.product: this cluster has no label for products of nvidia.com/gpu: ask its owner for"
        " acceleratorLabels, or use serving.nodeSelector"
    )
    assert served(small(platform={"acceleratorLabels": {"*": "product"}}, serving=accelerator))


def test_a_product_and_a_selector_that_want_different_ones_are_refused() -> None:
    """Else the figures of one would stand under the name of the other."""
    serving = {"accelerator": GPU | {"product": "A"}, "nodeSelector": {"gpu.product": "B", "zone": "c"}}
    reason, message = refusal(small(platform={"acceleratorLabels": {"*": "gpu.product"}}, serving=serving))
    assert reason == "InvalidServing"
    assert message == ("model a: accelerator.product is A and nodeSelector wants gpu.product: B: leave one of them out")


@pytest.mark.parametrize(
    ("model", "serving", "revision"),
    [
        ({"model": "org/a"}, {}, "a" * 40),
        ({"model": "org/a", "revision": "main"}, {}, "a" * 40),
        ({"model": "org/a", "revision": "b" * 40}, {}, "b" * 40),
        ({"model": "org/a"}, {"runtime": "LlamaCpp"}, None),
        ({"model": "/models/a.gguf"}, {}, None),
        ({"volume": {"claimName": "c", "path": "x/y"}}, {}, None),
    ],
)
def test_a_commit_that_was_found_is_pinned_where_the_server_can_be_told(
    model: dict[str, Any], serving: dict[str, Any], revision: str | None
) -> None:
    found = served(small([{"name": "a", **model}], serving=serving))
    assert pinned(found, "a" * 40).duty.place.revision == revision
    assert pinned(found, None) == found
