"""What a file says that is about a cluster: what has no meaning on one's own machine, and what cannot be had. Pure.

Nothing is ignored in silence. What would change the figures, or cannot be had, is refused; the rest is named once.
"""

from collections.abc import Iterator, Mapping, Sequence

from perbench.api.defaults import serving_of
from perbench.api.execution import ExecutionSpec
from perbench.api.models import ModelSpec
from perbench.api.resource import BenchmarkSpec
from perbench.api.serving import PrefixCache, Runtime, Serving
from perbench.api.tasks import TaskSpec
from perbench.planning import API_KEY_VARIABLE

SERVING = (
    "accelerator",
    "resources",
    "node_selector",
    "tolerations",
    "affinity",
    "runtime_class_name",
    "priority_class_name",
    "image_pull_secrets",
    "service_account_name",
    "hugging_face_token_secret_key_ref",
    "model_cache",
    "shared_memory",
    "pod_patch",
)
"""Where and with what a pod runs: there is no pod."""
EXECUTION = ("retries", "keep_models", "history_limit", "deadlines")
"""What the operator does with pods and objects of a run."""


def unused_fields(spec: BenchmarkSpec, substitute: Runtime | None) -> tuple[str, ...]:
    """The fields that are given and mean nothing here, in the order of the file."""
    serving = (*SERVING, "image") if substitute is not None else SERVING
    of_models = [_given("models[].serving", model.serving, serving) for model in spec.models]
    found = [name for names in of_models for name in names]
    found += _given("serving", spec.serving, serving)
    if spec.load is not None and spec.load.client is not None:
        found.append("load.client")
    if spec.baseline_ref is not None:
        found.append("baselineRef")
    found += _given("execution", spec.execution, EXECUTION)
    return tuple(dict.fromkeys(found))


def unused_sentence(fields: Sequence[str]) -> str | None:
    """One line that names them; None where there are none."""
    return f"not used on this machine: {', '.join(fields)}" if fields else None


def refusals(spec: BenchmarkSpec, substitute: Runtime | None, *, with_key: bool) -> tuple[str, ...]:
    """One line for each thing that cannot be had here, or would make other figures than were asked for."""
    lines = [line for model in spec.models for line in _of_model(spec, model, substitute, with_key=with_key)]
    lines += [line for task in spec.tasks if (line := cluster_dataset(task))]
    if spec.execution is not None and spec.execution.suspend:
        lines.append("execution.suspend is true, so nothing is run: leave it out, or stop a run with Ctrl-C")
    return tuple(lines)


def cluster_dataset(task: TaskSpec) -> str | None:
    """Why the items of a task are out of reach here; None where they are not."""
    dataset = task.dataset
    if dataset is None or (dataset.config_map is None and dataset.volume is None):
        return None
    kind = "configMap" if dataset.config_map is not None else "volume"
    return f"task {task.name}: dataset.{kind} is in a cluster only: give the items here as dataset.file or inline"


def _of_model(spec: BenchmarkSpec, model: ModelSpec, substitute: Runtime | None, *, with_key: bool) -> Iterator[str]:
    where = f"model {model.name}"
    if model.volume is not None:
        yield f"{where}: volume is in a cluster only: name a GGUF file of this machine in model"
    if model.endpoint is not None and model.endpoint.api_key_secret_key_ref is not None and not with_key:
        yield f"{where}: endpoint.apiKeySecretKeyRef: Secrets are in a cluster only: set {API_KEY_VARIABLE}"
    serving = serving_of(spec, model)
    if serving is not None:
        yield from _of_serving(where, serving, substitute)


def _of_serving(where: str, serving: Serving, substitute: Runtime | None) -> Iterator[str]:
    if (serving.replicas or 1) > 1:
        yield f"{where}: serving.replicas: one server of a model is started on this machine: set 1 or leave it out"
    if serving.prefix_cache is PrefixCache.ON:
        yield f"{where}: serving.prefixCache On: models on this machine are measured without one: leave it out"
    if serving.image is not None and substitute is None and serving.runtime is Runtime.LLAMA_CPP:
        yield (
            f"{where}: serving.image: no image is started on this machine: run with --runtime LlamaCpp, which serves"
            " with the installed llama.cpp instead, is recorded as a substitute and never compared with results of a"
            " cluster"
        )


def _given(prefix: str, part: Serving | ExecutionSpec | None, names: Sequence[str]) -> list[str]:
    if part is None:
        return []
    aliases: Mapping[str, str | None] = {name: info.alias for name, info in type(part).model_fields.items()}
    return [f"{prefix}.{aliases[name]}" for name in names if getattr(part, name) is not None]
