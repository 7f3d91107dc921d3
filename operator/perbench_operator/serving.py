"""How a model of a benchmark is served in this cluster, or why it cannot be. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from perbench.api.defaults import MAX_IN_FLIGHT, concurrency_of, is_kept_by_tgi, serving_of
from perbench.api.models import PACKAGED_PREFIX, ModelSpec
from perbench.api.pods import Accelerator
from perbench.api.resource import TGI_LENGTHS, BenchmarkSpec
from perbench.api.serving import PrefixCache, Serving
from perbench.api.serving import Runtime as RuntimeName
from perbench.planning import is_commit
from perbench.runtimes import runtime_of
from perbench.runtimes.base import Duty, ModelPlace, Runtime
from perbench.runtimes.llamacpp_local import known_request_tokens
from perbench_operator.platform import Platform

MODEL_MOUNT = "/model"
"""Where the volume of a `volume` model is mounted, read-only."""
WHOLE_DEVICE = "/gpu"
"""How resources end that count devices by the one."""


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The benchmark cannot be run as it is; nothing was started. `message` is one line: what, and what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True)
class Served:
    """One entry of `spec.models` that perbench starts."""

    model: ModelSpec
    serving: Serving
    """With the benchmark's and the platform's under it."""
    runtime: Runtime
    image: str
    most_in_flight: int
    """Requests that may be under way at the same time."""
    concurrency: int | None
    """Closed loop: requests that are. None: an open loop."""
    request_tokens: int | None
    """The context that one request may need at most, where the benchmark alone tells."""

    @property
    def replicas(self) -> int:
        """Servers of the model."""
        return self.serving.replicas or 1

    @property
    def accelerators(self) -> int:
        """Of each replica. 0: it computes on the CPU."""
        return self.serving.accelerator.count if self.serving.accelerator else 0

    @property
    def user(self) -> int:
        """The user id of its server, and of what reads the server's memory."""
        return self.runtime.user(self.image)

    @property
    def prefix_cache(self) -> bool:
        """Whether it may answer from what it kept of earlier prompts."""
        return self.serving.prefix_cache is PrefixCache.ON

    @property
    def duty(self) -> Duty:
        """What each of its servers is told to do."""
        cache = self.serving.model_cache
        return Duty(
            name=self.model.name,
            place=_place(self.model),
            args=self.serving.args or (),
            variables={variable.name: variable.value for variable in self.serving.env or ()},
            accelerators=self.accelerators,
            most_in_flight=self.most_in_flight,
            concurrency=self.concurrency,
            request_tokens=self.request_tokens,
            prefix_cache=self.prefix_cache,
            offline=cache is not None and cache.read_only is True,
        )


def serve(spec: BenchmarkSpec, model: ModelSpec, platform: Platform) -> Served | None:
    """How `model` is served. None: it is an endpoint, and somebody else does. Raises Refused."""
    serving = serving_of(spec, model, platform.serving)
    if serving is None or serving.runtime is None:
        return None
    runtime = runtime_of(serving.runtime)
    _check_place(model)
    _check_accelerator(model, serving, platform)
    concurrency = concurrency_of(spec)
    open_loop = (spec.load.max_in_flight if spec.load else None) or MAX_IN_FLIGHT
    served = Served(
        model=model,
        serving=serving,
        runtime=runtime,
        image=serving.image or _default_image(model, serving, runtime),
        most_in_flight=concurrency or open_loop,
        concurrency=concurrency,
        request_tokens=known_request_tokens(spec.tasks),
    )
    mistake = runtime.mistake(served.duty)
    if mistake is not None:
        raise Refused("InvalidServing", f"model {model.name}: {mistake}")
    if serving.pod_patch is not None and not platform.pod_patch:
        message = f"model {model.name}: serving.podPatch is not allowed in this cluster: leave it out"
        raise Refused("PolicyDenied", message)
    check_images(model, (served.image,), platform)
    return served


def pinned(served: Served, commit: str | None) -> Served:
    """The same model at this commit, which its first start has found, where the server can be told: else a branch that
    moves between rounds would make the model another one. What the benchmark itself pins stays."""
    model = served.model
    if commit is None or not served.runtime.takes_revision or served.duty.place.is_path or is_commit(model.revision):
        return served
    return replace(served, model=model.model_copy(update={"revision": commit}))


def ran_on(accelerator: Accelerator, products: Sequence[str]) -> str:
    """Number and product of a replica's accelerators; where replicas had unlike ones, all `products`.

    The resource is named beside a product that does not tell: parts of a device (`nvidia.com/mig-1g.10gb`) and shares
    of one (`nvidia.com/gpu.shared`) have the product of the whole.
    """
    product, resource = ", ".join(products) or accelerator.product, accelerator.resource
    if product is None:
        return f"{accelerator.count} x {resource}"
    whole = resource.endswith(WHOLE_DEVICE)
    return f"{accelerator.count} x {product}" if whole else f"{accelerator.count} x {product} ({resource})"


def check_images(model: ModelSpec, images: Iterable[str], platform: Platform) -> None:
    """Raise Refused unless each image is one that the owner of the cluster allows."""
    if not platform.image_prefixes:
        return
    for image in images:
        if not image.startswith(platform.image_prefixes):
            allowed = ", ".join(platform.image_prefixes)
            message = f"model {model.name}: image {image}: this cluster allows those that begin with {allowed} only"
            raise Refused("PolicyDenied", message)


def check_lengths(spec: BenchmarkSpec, served: Served) -> None:
    """Raise Refused where the server gives longer answers than a task asks for. Of a run that is to begin only: one
    that an operator of before has begun goes on.

    The same rule of the API looks at models of which the benchmark itself says that TGI serves them.
    """
    unkept = next((task for task in spec.tasks if not is_kept_by_tgi(task)), None)
    if served.runtime.name is RuntimeName.TGI and unkept is not None:
        raise Refused("InvalidServing", f"model {served.model.name}: task {unkept.name}: {TGI_LENGTHS}")


def _place(model: ModelSpec) -> ModelPlace:
    if model.volume is not None:
        return ModelPlace(f"{MODEL_MOUNT}/{model.volume.path}")
    if model.model is None:
        raise ValueError(f"{model.name} is an endpoint")
    return ModelPlace(model.model, model.revision)


def _check_place(model: ModelSpec) -> None:
    """A file beside the benchmark, and a package of Python, are on the user's machine only."""
    name = model.model or ""
    if name.startswith((PACKAGED_PREFIX, "./")):
        message = (
            f"model {model.name}: {name} is read on the user's machine (perbench run), not in a cluster: give an id of"
            " the hub, a volume, or a path inside an image of your own"
        )
        raise Refused("LocalOnly", message)


def _check_accelerator(model: ModelSpec, serving: Serving, platform: Platform) -> None:
    accelerator = serving.accelerator
    if accelerator is None or accelerator.product is None:
        return
    label = platform.product_label(accelerator.resource)
    if label is None:
        message = (
            f"model {model.name}: accelerator.product: this cluster has no label for products of"
            f" {accelerator.resource}: ask its owner for acceleratorLabels, or use serving.nodeSelector"
        )
        raise Refused("InvalidServing", message)
    selected = (serving.node_selector or {}).get(label, accelerator.product)
    if selected != accelerator.product:
        message = (
            f"model {model.name}: accelerator.product is {accelerator.product} and nodeSelector wants {label}:"
            f" {selected}: leave one of them out"
        )
        raise Refused("InvalidServing", message)


def _default_image(model: ModelSpec, serving: Serving, runtime: Runtime) -> str:
    resource = serving.accelerator.resource if serving.accelerator else None
    image = runtime.image_for(resource)
    if image is not None:
        return image.reference
    if runtime.name is RuntimeName.CUSTOM:
        message = f"model {model.name}: runtime Custom needs an image of your own: set serving.image"
    else:
        what = f"for {resource}" if resource else "that computes on the CPU: set serving.accelerator, or"
        message = f"model {model.name}: perbench knows no image of {runtime.name.value} {what}"
        message += ": set serving.image" if resource else " name one in serving.image"
    raise Refused("ImageMissing", message)
