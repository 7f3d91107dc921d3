"""serving.podPatch: what is merged, what is replaced, what stays."""

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perbench_operator.children.pod_patch import images, patched
from perbench_operator.serving import Refused
from tests.support.operator_cases import small

TEMPLATE: dict[str, Any] = {
    "metadata": {
        "labels": {"perbench.dev/launch": "0123456789", "app.kubernetes.io/managed-by": "perbench", "mesh": "off"},
        "annotations": {"perbench.dev/model": "a"},
    },
    "spec": {
        "restartPolicy": "Never",
        "securityContext": {"runAsUser": 1, "runAsNonRoot": True},
        "tolerations": [{"key": "a"}],
        "initContainers": [{"name": "memory", "image": "bench"}],
        "containers": [
            {
                "name": "model",
                "image": "server",
                "args": ["--a", "--b"],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                "ports": [{"name": "http", "containerPort": 8080}],
                "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    },
}


def spec(patch: dict[str, Any]) -> dict[str, Any]:
    return dict(patched(TEMPLATE, {"spec": patch}, "a")["spec"])


def model(patch: dict[str, Any]) -> dict[str, Any]:
    (container,) = spec({"containers": [{"name": "model", **patch}]})["containers"]
    return dict(container)


def refusal(patch: dict[str, Any]) -> str:
    with pytest.raises(Refused) as raised:
        patched(TEMPLATE, patch, "a")
    assert raised.value.reason == "InvalidPodPatch"
    return raised.value.message


def test_objects_are_merged_by_field() -> None:
    assert spec({"securityContext": {"runAsUser": 2}})["securityContext"] == {"runAsUser": 2, "runAsNonRoot": True}
    assert spec({"hostNetwork": True})["hostNetwork"] is True


def test_null_takes_a_field_away() -> None:
    assert spec({"securityContext": {"runAsNonRoot": None}})["securityContext"] == {"runAsUser": 1}
    assert "securityContext" not in spec({"securityContext": None})
    assert spec({"absent": None}) == TEMPLATE["spec"]


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("env", [{"name": "A", "value": "9"}], [{"name": "A", "value": "9"}, {"name": "B", "value": "2"}]),
        ("ports", [{"containerPort": 8080, "hostPort": 1}], [{"name": "http", "containerPort": 8080, "hostPort": 1}]),
        ("ports", [{"containerPort": 9}], [{"name": "http", "containerPort": 8080}, {"containerPort": 9}]),
        (
            "volumeMounts",
            [{"mountPath": "/tmp", "name": "other"}, {"mountPath": "/x", "name": "x"}],
            [{"name": "other", "mountPath": "/tmp"}, {"mountPath": "/x", "name": "x"}],
        ),
        ("args", ["--c"], ["--c"]),
    ],
)
def test_lists_of_a_container(name: str, change: list[Any], expected: list[Any]) -> None:
    assert model({name: change})[name] == expected


def test_a_value_of_another_kind_is_replaced_whole() -> None:
    reference = {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}, "value": None}
    assert model({"env": [reference]})["env"][0] == {
        "name": "A",
        "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}},
    }
    assert spec({"securityContext": "none"})["securityContext"] == "none"  # for the API server to refuse


def test_lists_of_the_pod() -> None:
    assert spec({"tolerations": [{"key": "b"}]})["tolerations"] == [{"key": "b"}]
    added = spec({"volumes": [{"name": "v", "emptyDir": {}}], "containers": [{"name": "c", "image": "i"}]})
    assert [volume["name"] for volume in added["volumes"]] == ["scratch", "v"]
    assert [container["name"] for container in added["containers"]] == ["model", "c"]
    assert spec({"volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}]})["volumes"] == [
        {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}
    ]


def test_labels_and_annotations_of_others() -> None:
    metadata = patched(TEMPLATE, {"metadata": {"labels": {"mesh": None, "team": "x"}, "annotations": {"b": "c"}}}, "a")[
        "metadata"
    ]
    assert metadata["labels"] == {
        "perbench.dev/launch": "0123456789",
        "app.kubernetes.io/managed-by": "perbench",
        "team": "x",
    }
    assert metadata["annotations"] == {"perbench.dev/model": "a", "b": "c"}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"metadata": {"labels": {"perbench.dev/launch": "x"}}}, "changes labels perbench.dev/launch: leave it"),
        ({"metadata": {"labels": {"perbench.dev/launch": None}}}, "changes labels perbench.dev/launch: leave it"),
        ({"metadata": {"labels": None}}, "changes labels perbench.dev/launch: leave it"),
        (
            {"metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}},
            "changes labels app.kubernetes.io/managed-by: leave it",
        ),
        (
            {"metadata": {"annotations": {"perbench.dev/model": "b"}}},
            "changes annotations perbench.dev/model: leave it",
        ),
        ({"spec": {"containers": None}}, "takes container model away: name it to change it"),
        ({"spec": {"containers": [{"image": "x"}]}}, "takes container model away: name it to change it"),
        ({"spec": {"initContainers": None}}, "takes container memory away: name it to change it"),
        ({"spec": {"initContainers": "x"}}, "takes container memory away: name it to change it"),
    ],
)
def test_what_perbench_needs_stays(patch: dict[str, Any], message: str) -> None:
    assert refusal(patch) == f"model a: serving.podPatch {message}"


@pytest.mark.parametrize("policy", ["OnFailure", "Always", None])
def test_a_server_that_ends_stays_ended(policy: str | None) -> None:
    assert refusal({"spec": {"restartPolicy": policy}}) == (
        "model a: serving.podPatch.spec.restartPolicy: a server that ends is not started again: leave it"
    )


@pytest.mark.parametrize(
    ("patch", "where"),
    [
        ({"status": {}}, "status"),
        ({"kind": "Pod"}, "kind"),
        ({"metadata": {"ownerReferences": []}}, "metadata.ownerReferences"),
        ({"metadata": {"name": "x"}}, "metadata.name"),
    ],
)
def test_it_is_part_of_a_pod_and_no_more(patch: dict[str, Any], where: str) -> None:
    assert refusal(patch) == (
        f"model a: serving.podPatch.{where}: a patch may hold spec, and labels and annotations in metadata"
    )


@pytest.mark.parametrize("name", ["spec", "metadata"])
@pytest.mark.parametrize("value", ["text", None, []])
def test_its_parts_are_objects(name: str, value: Any) -> None:
    assert refusal({name: value}) == f"model a: serving.podPatch.{name} is not an object"


def test_every_image_of_the_pod_is_found() -> None:
    patch = {
        "initContainers": [{"name": "first", "image": "i1"}],
        "containers": [{"name": "model", "image": "i2"}, {"name": "second", "image": "i3"}, {"name": "third"}],
        "volumes": [{"name": "v", "image": {"reference": "i4"}}],
    }
    assert images(patched(TEMPLATE, {"spec": patch}, "a")) == ("i2", "i3", "", "bench", "i1", "i4")


@pytest.mark.parametrize(
    "patch",
    [
        {"containers": [{"name": "model", "image": "elsewhere/a:1"}]},
        {"containers": [{"name": "second", "image": "elsewhere/a:1"}]},
        {"initContainers": [{"name": "first", "image": "elsewhere/a:1"}]},
        {"volumes": [{"name": "v", "image": {"reference": "elsewhere/a:1"}}]},
    ],
)
def test_images_are_judged_after_the_patch(patch: dict[str, Any]) -> None:
    platform = {"imagePrefixes": ["registry.example.org/"]}
    serving = {"image": "registry.example.org/a:1", "podPatch": {"spec": patch}}
    with pytest.raises(Refused) as raised:
        _ = small(platform=platform, serving=serving).model
    assert raised.value.reason == "PolicyDenied"
    assert raised.value.message.startswith("model a: image elsewhere/a:1: this cluster allows")


def test_the_platforms_own_image_needs_no_permission() -> None:
    platform = {"imagePrefixes": ["registry.example.org/"]}
    case = small(platform=platform, serving={"image": "registry.example.org/a:1", "accelerator": None})
    assert "memory" in str(case.model[-1])  # the container of that image


WORDS = st.sampled_from(["name", "image", "model", "memory", "mountPath", "containerPort", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from([*TEMPLATE["spec"], "hostNetwork", "nodeName"])


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_is_in_a_patch_it_is_merged_or_refused(patch: dict[str, Any]) -> None:
    try:
        result = patched(TEMPLATE, {"spec": patch}, "a")
    except Refused:
        return
    assert result["metadata"] == TEMPLATE["metadata"]
    assert "model" in [container.get("name") for container in result["spec"]["containers"]]


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_patch_changes_no_template(patch: dict[str, Any]) -> None:
    before = repr(TEMPLATE)
    with contextlib.suppress(Refused):
        images(patched(TEMPLATE, {"spec": patch}, "a"))
    assert repr(TEMPLATE) == before
