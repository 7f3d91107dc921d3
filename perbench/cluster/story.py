"""`kubectl perbench explain`: the story of a run, from the benchmark, its pods and its events. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from perbench.api.resource import counted
from perbench.cluster.progress import condition, is_current, standing
from perbench.cluster.reasons import advice
from perbench.failures import printable

MODEL = "perbench.dev/model"
REGRESSED = "Regressed"
EVENTS = 15
"""The latest events that are shown."""

Body = Mapping[str, Any]


def story(body: Body, pods: Sequence[Body], events: Sequence[Body]) -> str:
    """The whole text. What servers and clusters say in it has lost its control characters."""
    parts = (_head(body), _conditions(body), _models(body), _failure(body), _pods(pods), _events(events))
    shown = ["\n".join(printable(line) for line in part) for part in map(list, parts) if part]
    return "\n\n".join(shown) + "\n"


def _head(body: Body) -> Iterator[str]:
    metadata, status = body["metadata"], body.get("status") or {}
    yield f"{metadata['namespace']}/{metadata['name']}: {standing(body).line}"
    run = status.get("run")
    if run and status.get("startTime"):
        asked = f", asked for as {run['request']}" if run.get("request") else ""
        ended = f", ended {status['completionTime']}" if status.get("completionTime") else ""
        yield f"run {run['id']}{asked}, began {status['startTime']}{ended}"
    if status and not is_current(body):
        yield "What follows is about the benchmark as it was before its last change."
    elif "refused" in status and run:
        accepted = condition(status, "Accepted")
        what = "waits until execution.suspend is false" if accepted.get("status") == "Unknown" else "was not accepted"
        yield f"Its last change {what}. Figures, if any, are of run {run['id']}, as it was before."


def _conditions(body: Body) -> list[str]:
    conditions = (body.get("status") or {}).get("conditions") or ()
    return [
        f"{found['type']:17} {found['status']:8} {found['reason']}: {found.get('message', '')}".rstrip(": ")
        for found in conditions
    ]


def _models(body: Body) -> list[str]:
    return [_model(model) for model in (body.get("status") or {}).get("models") or ()]


def _model(model: Body) -> str:
    facts = [
        model.get("runtime"),
        model.get("image"),
        f"on {model['node']}" if model.get("node") else None,
        model.get("accelerator"),
        f"ready after {model['readySeconds']} s" if model.get("readySeconds") is not None else None,
        f"{counted(len(model['tasks']), 'task')} measured" if model.get("tasks") else None,
    ]
    said = ", ".join(fact for fact in facts if fact)
    return f"model {model['name']}: {model['phase']}{f' ({said})' if said else ''}"


def _failure(body: Body) -> Iterator[str]:
    status = body.get("status") or {}
    failure = status.get("failure")
    if failure:
        of_model = f", model {failure['model']}" if failure.get("model") else ""
        blame = f", blame {failure['blame']}" if status.get("startTime") else ""  # nobody's: it was never accepted
        yield f"{failure['reason']}{blame}{of_model}: {failure['message']}"
    told = [(reason, what) for reason in _reasons(body) if (what := advice(reason))]
    for number, (reason, what) in enumerate(told):
        follows = number == 0 and (not failure or failure["reason"] == reason)
        yield f"What to do: {what}." if follows else f"About {reason}: {what}."


def _reasons(body: Body) -> tuple[str, ...]:
    """Why things are not as they should be, what matters most first: a benchmark that is not accepted, a failure."""
    status = body.get("status") or {}
    denied = {found["type"]: found["reason"] for found in status.get("conditions") or () if found["status"] == "False"}
    refused, failure = denied.pop("Accepted", None), status.get("failure")
    denied.pop(REGRESSED, None)  # of this one False is the good word
    first = [refused, failure["reason"] if failure else None]
    compared = [
        found["reason"]
        for found in status.get("conditions") or ()
        if found["type"] == REGRESSED and found["status"] != "False"
    ]
    return tuple(dict.fromkeys([*(reason for reason in first if reason), *denied.values(), *compared]))


def _pods(pods: Sequence[Body]) -> list[str]:
    return [_pod(pod) for pod in pods if pod.get("status", {}).get("phase") != "Succeeded"]


def _pod(pod: Body) -> str:
    metadata, status = pod["metadata"], pod.get("status") or {}
    model = (metadata.get("annotations") or {}).get(MODEL)
    words = ", ".join(_words(status))
    of_model = f" of {model}" if model else ""
    return f"pod {metadata['name']}{of_model}: {status.get('phase', 'Unknown')}{f': {words}' if words else ''}"


def _words(status: Body) -> Iterator[str]:
    """Why a pod is not where it should be, in the words of whoever knows: scheduler, kubelet, container."""
    for found in status.get("conditions") or ():
        if found.get("type") == "PodScheduled" and found.get("status") == "False":
            yield f"{found.get('reason', 'not scheduled')}: {found.get('message', '')}".rstrip(": ")
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        if waiting := state.get("waiting"):
            words = f"{waiting.get('reason', '')}: {waiting.get('message', '')}".strip(": ")
            yield f"container {container['name']} waits: {words}"
        elif (ended := state.get("terminated")) and ended.get("exitCode"):
            words = f"{ended.get('reason', '')}: {ended.get('message', '')}".strip(": ")
            yield f"container {container['name']} ended with {ended['exitCode']}: {words}"


def _events(events: Sequence[Body]) -> list[str]:
    latest = sorted(events, key=_when)[-EVENTS:]
    return [
        f"{_when(event)}  {event.get('type', ''):8} {event.get('reason', '')}: {event.get('message', '')}"
        for event in latest
    ]


def _when(event: Body) -> str:
    times = (event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return str(next((time for time in times if time), ""))[:19]
