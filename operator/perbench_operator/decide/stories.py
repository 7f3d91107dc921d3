"""The story that events tell: what is worth an event between one status and the next. Pure."""

from collections.abc import Iterator, Mapping

from perbench.api.status import Condition, ConditionStatus, ConditionType, ModelPhase, ModelStatus, Phase, Status
from perbench.failures import Failure
from perbench_operator.decide.conditions import find_condition
from perbench_operator.decide.regression import FIRST_RUN, TO_COME
from perbench_operator.decide.situation import Story

MESSAGE_LIMIT = 900
"""Characters of an event's message; the API takes 1024."""


def between(before: Status | None, after: Status, failures: Mapping[str, Failure]) -> tuple[Story, ...]:
    """Events for what has changed. `failures`: why models failed, by model."""
    return tuple(
        Story(story.reason, story.message[:MESSAGE_LIMIT], story.warning)
        for story in _changes(before or Status(), after, failures)
    )


def _changes(before: Status, after: Status, failures: Mapping[str, Failure]) -> Iterator[Story]:
    new_run = after.run is not None and (before.run is None or before.run.id != after.run.id)
    if new_run and after.start_time is not None and after.run is not None:
        total = after.progress.total if after.progress else 0
        yield Story("RunStarted", f"run {after.run.id}: {len(after.models)} models, {total} stages")
    former = {} if new_run else {model.name: model for model in before.models}
    for model in after.models:
        yield from _of_model(former.get(model.name), model, failures.get(model.name))
    if after.phase is not before.phase:
        yield from _of_phase(before, after)
    yield from _refused(before, after)
    if after.completion_time is not None and before.completion_time is None:
        yield _end(after)
    elif after.completion_time is not None and not new_run and _is_recomputed(before, after):
        yield Story("Recomputed", best(after) or "figures computed anew from what was measured")
    yield from _of_baseline(before, after)


def _of_baseline(before: Status, after: Status) -> Iterator[Story]:
    """What came of the comparison with a baseline."""
    was, now = (find_condition(status, ConditionType.REGRESSED) for status in (before, after))
    if now is None or now.reason in TO_COME or (was is not None and _said(was) == _said(now)):
        return
    if now.status is ConditionStatus.UNKNOWN:
        yield Story("NotJudged", f"{now.reason}: {now.message}", warning=now.reason != FIRST_RUN)
    else:
        worse = now.status is ConditionStatus.TRUE
        yield Story("Regressed" if worse else "NotRegressed", now.message, warning=worse)


def _said(condition: Condition) -> tuple[str, str]:
    return condition.reason, condition.message


def _of_model(before: ModelStatus | None, after: ModelStatus, failure: Failure | None) -> Iterator[Story]:
    phase = before.phase if before else ModelPhase.PENDING
    if after.phase is phase:
        return
    if after.phase is ModelPhase.MEASURING:
        yield Story("LoadStarted", f"{after.name}: the load has begun")
    elif after.phase is ModelPhase.SUCCEEDED:
        ready = f", ready after {after.ready_seconds} s" if after.ready_seconds is not None else ""
        yield Story("ModelMeasured", f"{after.name}: all stages are recorded{ready}")
    elif after.phase is ModelPhase.FAILED:
        why = f"{failure.reason} ({failure.blame}): {failure.message}" if failure else "see the status"
        yield Story("ModelFailed", f"{after.name}: {why}", warning=True)


def _of_phase(before: Status, after: Status) -> Iterator[Story]:
    said = after.progress.message if after.progress else None
    if before.phase is Phase.SUSPENDED and after.completion_time is None:
        yield Story("Resumed", said or "going on")
    if after.phase is Phase.QUEUED:
        yield Story("Queued", said or "waiting for its turn")
    elif after.phase is Phase.SUSPENDED:
        kept = "execution.suspend is true: finished stages stay"
        waits = find_condition(after, ConditionType.ACCEPTED) if after.refused else None
        yield Story("Suspended", waits.message if waits else kept)


def _is_recomputed(before: Status, after: Status) -> bool:
    """Whether the figures were computed anew: not where an edit of what is measured was refused, or taken back."""
    return after.refused is before.refused is None and after.observed_generation != before.observed_generation


def _refused(before: Status, after: Status) -> Iterator[Story]:
    now = _accepted(after)
    if now and now != _accepted(before):
        yield Story("NotAccepted", now, warning=True)


def _accepted(status: Status) -> str | None:
    """Why it was not accepted."""
    said = find_condition(status, ConditionType.ACCEPTED)
    return f"{said.reason}: {said.message}" if said is not None and said.status is ConditionStatus.FALSE else None


def _end(after: Status) -> Story:
    last = find_condition(after, ConditionType.SUCCEEDED)
    if after.phase is Phase.SUCCEEDED:
        return Story("RunSucceeded", best(after) or "every model was measured")
    return Story("RunFailed", f"{last.reason}: {last.message}" if last else "see the status", warning=True)


def best(status: Status) -> str | None:
    """The best model and its PER, for people. None: there is none."""
    found = status.best
    if found is None:
        return None
    per = f", Reference PER {found.reference_per}" if found.reference_per else ""
    return f"best: {found.model} ({found.tasks_won} of {found.tasks} tasks{per})"
