"""Looks up what the watches do not bring: why Jobs have no pods, why pods do not start, what is on nodes. A rim."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from perbench.api.defaults import execution_of, serving_of
from perbench.api.models import ModelSpec
from perbench.api.resource import BenchmarkSpec
from perbench.failures import shorten
from perbench_operator.client import AnswerError, KubernetesApi
from perbench_operator.decide.pods import CONFIG_REASONS, CREATE_REASONS, PULL_REASONS
from perbench_operator.names import Role, RunIdentity
from perbench_operator.observed import Body, Children, Exporter, Failing, Job, Pod, read_exporter
from perbench_operator.platform import DcgmExporter, Platform, is_nvidia, is_shared

SHORT_SECONDS = 5.0
"""A Job that has fewer pods than it is to have for so long may have been refused them; a pod that has not started so
long after it got its node may wait for a volume."""
NODE_SECONDS = 60.0
"""A node that does not say what was looked for is asked again after so long."""
MESSAGE_LIMIT = 900
K = TypeVar("K")
V = TypeVar("V")
REMEMBERED = 1_000
"""Pods of which the product of their node is remembered."""
PULL_FAILED = "Failed to pull image"
"""What the kubelet says once for each pull that failed."""
OF_PULLS = (PULL_FAILED, "ErrImagePull", "ImagePullBackOff", "Back-off pulling image")
"""Words that tell events about images from those about containers."""
TIMED_OUT = "timed out waiting"
"""What the kubelet says every two minutes beside the cause."""
UNMOUNTED = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
"""Why a pod's volumes are not there: the kubelet and the attacher say so in events only."""
MOUNTED = frozenset({"SuccessfulAttachVolume", "Pulling", "Pulled", "Created"})
"""What is said when that is over: images are pulled once all volumes are mounted."""

logger = logging.getLogger("perbench_operator")


@dataclass(frozen=True, slots=True)
class NodeLabel:
    """What is to be found out about a node."""

    label: str
    """It names the product of the accelerators."""
    pod: str
    """A model's pod that runs, or ran, there. What was found holds for it alone: a node may be made anew under its old
    name, with other accelerators, and takes no pod along."""


class Lookup:
    """Asks about Jobs and nodes, and remembers what nodes have."""

    def __init__(self, api: KubernetesApi, clock: Callable[[], float], *, read_nodes: bool) -> None:
        self._api = api
        self._clock = clock
        self._read_nodes = read_nodes
        self._products: dict[tuple[str, NodeLabel], str] = {}
        """Where the node has the label. The latest."""
        self._asked: dict[tuple[str, NodeLabel], float] = {}
        """When a node that did not have a label was asked for it. The latest."""

    async def explained(self, children: Children, namespace: str, now: datetime) -> Children:
        """Jobs that have too few pods, with what the Job controller says of it; pods that do not start, with how long
        they have failed to, and with what is said of their volumes where their containers say nothing."""
        jobs = [
            replace(job, refused=await self._refusal(job, namespace)) if is_short(job, children, now) else job
            for job in children.jobs
        ]
        pods = [
            told(pod, await self._events(pod, namespace)) if is_failing(pod) or is_silent(pod, now) else pod
            for pod in children.pods
        ]
        return replace(children, jobs=tuple(jobs), pods=tuple(pods))

    async def _refusal(self, job: Job, namespace: str) -> str | None:
        page = await self._api.list("Event", namespace, fields=f"involvedObject.uid={job.uid},reason=FailedCreate")
        last = max(page.items, key=_moment, default=None)
        return shorten(str(last.get("message") or ""), MESSAGE_LIMIT) if last else None

    async def _events(self, pod: Pod, namespace: str) -> tuple[Body, ...]:
        return (await self._api.list("Event", namespace, fields=f"involvedObject.uid={pod.uid}")).items

    async def exporters(
        self, spec: BenchmarkSpec, platform: Platform | None, run: RunIdentity, children: Children
    ) -> dict[str, Exporter]:
        """The exporter of accelerators by node, of those that a bench pod is about to be told of. Empty: of none."""
        if platform is None or platform.telemetry.dcgm is None:
            return {}
        nodes = exporter_nodes(spec, platform, run, children)
        return {node: await self._exporter(platform.telemetry.dcgm, node) for node in nodes}

    async def _exporter(self, wanted: DcgmExporter, node: str) -> Exporter:
        which = f"pod with {wanted.selector} in namespace {wanted.namespace}"
        try:
            page = await self._api.list("Pod", wanted.namespace, labels=wanted.selector, fields=f"spec.nodeName={node}")
        except AnswerError as error:
            logger.warning("node %s: its exporter is not known: %s", node, error)
            return Exporter(reason=f"the operator cannot look for a {which}: {error}")
        return read_exporter(page.items) or Exporter(reason=f"no {which} runs on its node (telemetry.dcgm)")

    async def products(self, labels: Mapping[str, NodeLabel]) -> dict[str, str]:
        """The accelerator product of each node, which its label names; `labels`: by node."""
        if not self._read_nodes:
            return {}
        found = {node: await self._product(node, label) for node, label in labels.items()}
        return {node: product for node, product in found.items() if product}

    async def _product(self, node: str, wanted: NodeLabel) -> str | None:
        key, label = (node, wanted), wanted.label
        if key in self._products or self._clock() - self._asked.get(key, float("-inf")) < NODE_SECONDS:
            return self._products.get(key)
        _remember(self._asked, key, self._clock())
        try:
            labels = (await self._api.get("Node", None, node))["metadata"].get("labels") or {}
        except AnswerError as error:
            logger.warning("node %s: its accelerator's product is not known: %s", node, error)
            return None
        if labels.get(label):
            _remember(self._products, key, labels[label])
        return self._products.get(key)


def _remember(known: dict[K, V], key: K, value: V) -> None:
    known.pop(key, None)
    known[key] = value
    if len(known) > REMEMBERED:
        del known[next(iter(known))]


def is_short(job: Job, children: Children, now: datetime) -> bool:
    """Whether a Job has had fewer pods than it is to have for a while."""
    age = (now - job.created).total_seconds() if job.created else 0.0
    idle = job.finished or job.deleting or job.suspended is not None
    return not idle and age >= SHORT_SECONDS and len(children.pods_of(job)) < job.pods


def is_failing(pod: Pod) -> bool:
    """Whether a container does not start for a reason that may pass."""
    if pod.waiting is None or pod.started is not None or pod.deleting or pod.over or not pod.uid:
        return False
    return pod.waiting[0] in PULL_REASONS | CONFIG_REASONS | CREATE_REASONS


def is_silent(pod: Pod, now: datetime) -> bool:
    """Whether a pod that has a node has not started for a while, and its containers do not say why."""
    if pod.scheduled is None or pod.started is not None or pod.waiting is not None or pod.deleting or pod.over:
        return False
    return bool(pod.uid) and (now - pod.scheduled).total_seconds() >= SHORT_SECONDS


def told(pod: Pod, events: Iterable[Body]) -> Pod:
    """A pod that does not start, with what its events tell of that."""
    if pod.waiting is not None:
        return replace(pod, failing=failing_of(events, pulls=pod.waiting[0] in PULL_REASONS))
    event = unmounted(events)
    if event is None:
        return pod
    words = shorten(str(event.get("message") or ""), MESSAGE_LIMIT)
    return replace(pod, waiting=(str(event["reason"]), words), failing=_failing([event]))


def failing_of(events: Iterable[Body], *, pulls: bool) -> Failing | None:
    """Since when and how often the start of a pod's containers has failed; `pulls`: the pulls of its images.

    The reason that a container waits for is that of its last try, also while the next one is under way: an image of
    many gigabytes that failed once is "failing" for as long as it is pulled again. The kubelet counts only in events.
    """

    def counts(event: Body) -> bool:
        message = str(event.get("message") or "")
        about_pulls = any(words in message for words in OF_PULLS)
        return PULL_FAILED in message if pulls else event.get("type") == "Warning" and not about_pulls

    return _failing(event for event in events if event.get("reason") in {"Failed", "BackOff"} and counts(event))


def unmounted(events: Iterable[Body]) -> Body | None:
    """The event that says why a pod's volumes are not there; None: they are, or nothing is said.

    Events outlive what they say by an hour, so what was said before the last success does not count.
    """
    given = list(events)
    success = max((_moment(event) for event in given if event.get("reason") in MOUNTED), default="")
    failed = [event for event in given if event.get("reason") in UNMOUNTED and _moment(event) > success]
    return max(failed, key=lambda event: (TIMED_OUT not in str(event.get("message")), _moment(event)), default=None)


def _failing(events: Iterable[Body]) -> Failing | None:
    """Since when, and how often, what events say has happened. None: they do not say when."""
    moments, times = [], 0
    for event in events:
        first = event.get("firstTimestamp") or event.get("eventTime")
        if first:
            moments.append(datetime.fromisoformat(first))
            times += int(event.get("count") or 1)
    return Failing(min(moments), times) if moments else None


def _moment(event: Body) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")[:19]


def exporter_nodes(spec: BenchmarkSpec, platform: Platform, run: RunIdentity, children: Children) -> tuple[str, ...]:
    """Nodes of models that a bench pod may be about to be made for, and whose accelerators an exporter can tell of: all
    their pods run, and none of a bench pod does."""
    models = {model.name for model in spec.models if _is_told_of(spec, model, platform)}
    tries = 1 + (execution_of(spec).retries or 0)
    found: set[str] = set()
    for job in children.jobs:
        pods = [pod for pod in children.pods_of(job) if pod.running and pod.node]
        ours = job.role == Role.MODEL and job.run_id == run.run_id and job.model in models
        if ours and len(pods) >= job.pods and _wants_bench(children, job, tries):
            found.update(pod.node for pod in pods if pod.node)
    return tuple(sorted(found))


def _is_told_of(spec: BenchmarkSpec, model: ModelSpec, platform: Platform) -> bool:
    serving = serving_of(spec, model, platform.serving)
    accelerator = serving.accelerator if serving else None
    return accelerator is not None and is_nvidia(accelerator.resource) and not is_shared(accelerator.resource)


def _wants_bench(children: Children, model: Job, tries: int) -> bool:
    """Whether no bench pod of a launch goes on, and one may be made yet."""
    benches = children.benches(model.launch)
    return len(benches) < tries and not any(_goes_on(bench, children) for bench in benches)


def _goes_on(bench: Job, children: Children) -> bool:
    pods = children.pods_of(bench)
    return not bench.finished and not (pods and all(pod.over for pod in pods))


def product_labels(
    spec: BenchmarkSpec, platform: Platform, run: RunIdentity, children: Children
) -> dict[str, NodeLabel]:
    """By node on which a model of this run has been: the label that names the product of the model's accelerators.

    Where several have been, that of the latest.
    """
    labels = {}
    for model in spec.models:
        serving = serving_of(spec, model, platform.serving)
        accelerator = serving.accelerator if serving else None
        label = platform.product_label(accelerator.resource) if accelerator else None
        if label is not None:
            labels[model.name] = label
    ours = [pod for pod in children.pods if pod.role == Role.MODEL and pod.run_id == run.run_id and pod.node]
    ours.sort(key=lambda pod: (pod.created or datetime.min.replace(tzinfo=UTC), pod.name))
    return {pod.node: NodeLabel(labels[pod.model], pod.name) for pod in ours if pod.node and pod.model in labels}
