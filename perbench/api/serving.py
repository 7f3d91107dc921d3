"""`spec.serving`: how models are served."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.api.pods import (
    Accelerator,
    KubernetesObject,
    ModelCache,
    NodeSelector,
    ObjectName,
    PullSecrets,
    Quantity,
    Resources,
    SecretKeyRef,
    Tolerations,
)
from perbench.api.rules import ApiObject, ListMap
from perbench.api.text import IMAGE, VARIABLE


class Runtime(StrEnum):
    """The model servers perbench knows how to start."""

    TGI = "TGI"
    VLLM = "VLLM"
    SGLANG = "SGLang"
    LLAMA_CPP = "LlamaCpp"
    CUSTOM = "Custom"


class PrefixCache(StrEnum):
    """Whether a server may answer from what it kept of earlier prompts."""

    OFF = "Off"
    ON = "On"


class EnvVar(ApiObject):
    """One environment variable of the model server."""

    name: Annotated[str, Field(pattern=VARIABLE, min_length=1, max_length=128)]
    """Name of the variable; unique in the list."""
    value: Annotated[str, Field(max_length=4096)]
    """Its value. Text: quote numbers, `true` and `off`. It is readable by all who may read this object: no secrets."""


class Serving(ApiObject):
    """How a model is served. Under a model it overrides what the benchmark says for all."""

    runtime: Runtime | None = None
    """The model server: `TGI`, `VLLM`, `SGLang`, `LlamaCpp` or `Custom`. Default TGI. `image` and `args` beside it are
    those of this server: a model of another runtime does without them."""
    image: Annotated[str | None, Field(pattern=IMAGE, min_length=1, max_length=512)] = None
    """The server's image, for models of the runtime that holds here. Default: the runtime's own, recorded in
    `status.models[].image`. Needed with `Custom`."""
    args: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...] | None, Field(max_length=64)] = (
        None
    )
    """The server's own flags, one word per entry: `["-np", "4"]`, for models of the runtime that holds here. In local
    mode those named in the documentation of local serving; any other is refused."""
    env: Annotated[tuple[EnvVar, ...] | None, Field(max_length=64), ListMap("name")] = None
    """Environment variables of the server, whatever its runtime."""
    replicas: Annotated[int | None, Field(ge=1, le=64)] = None
    """Servers of the model; requests are spread over them evenly. Default 1."""
    accelerator: Accelerator | None = None
    """The accelerators of each replica. Default: none, it runs on the CPU."""
    resources: Resources | None = None
    """What each replica's container asks for besides accelerators."""
    node_selector: NodeSelector | None = None
    """Labels that the nodes must have."""
    tolerations: Tolerations | None = None
    """Taints of nodes that do not keep the server away, as in a pod. Taints named as the accelerator's resource are
    tolerated without being listed."""
    affinity: KubernetesObject | None = None
    """Affinity, as in a pod."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pod, where accelerators need one."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pod."""
    image_pull_secrets: PullSecrets | None = None
    """Secrets for the image's registry."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of the pod; its token is not mounted. Default: the namespace's."""
    hugging_face_token_secret_key_ref: SecretKeyRef | None = None
    """Token for gated and private models at the hub. It is read by the server's pod and the bench pod only."""
    model_cache: ModelCache | None = None
    """Where downloaded model files are kept. Default: on the node, as long as the pod lives."""
    shared_memory: Quantity | None = None
    """Size of /dev/shm, which counts as memory of the pod. Default: `1Gi` with more than one accelerator, and for TGI,
    VLLM and SGLang."""
    prefix_cache: PrefixCache | None = None
    """`Off`: every prompt is worked on in full, so repeats are as slow as the first time. `On`: as in production, if
    there prompts repeat. Default Off."""
    pod_patch: KubernetesObject | None = None
    """A pod (`metadata`, `spec`) that is merged into the server's: objects by field; containers, init containers,
    volumes and variables by name, mounts by `mountPath`, ports by `containerPort`; other lists are replaced. The
    server's container is called `model`. Labels, owner and selector of perbench stay."""
