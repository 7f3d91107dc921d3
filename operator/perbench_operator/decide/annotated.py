"""Whether a run is marked in Grafana: what is to be told of it, and the condition `Annotated` that remembers what was.

The condition is there only where the operator has a Grafana. While a run is on it is written along with whatever else
is written; once the run has ended, when it becomes True or False. Nothing else depends on it. Pure.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from html import escape

from perbench.api.resource import counted
from perbench.api.status import Condition, ConditionStatus, ConditionType, Phase, Status
from perbench.failures import printable, shorten
from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import ProblemKind
from perbench_operator.decide.conditions import find_condition, outcome_of
from perbench_operator.decide.situation import Benchmark, Situation, Told
from perbench_operator.decide.stories import best

NOT_YET = "NotYetAnnotated"
TROUBLES: Mapping[ProblemKind, str] = {
    ProblemKind.UNREACHABLE: "GrafanaUnreachable",
    ProblemKind.REFUSED: "GrafanaRefused",
}
LINE_LIMIT = 300
"""Characters of a failure's message in an annotation."""
MESSAGE_LIMIT = 1024


def annotation_due(benchmark: Benchmark) -> RunAnnotation | None:
    """What Grafana is yet to be told, going by the status. None: nothing, or it is known to have been told.

    A run that had ended before the operator had a Grafana has no condition, and is never told.
    """
    status = benchmark.status
    if status is None or benchmark.deleting:
        return None
    annotation, condition = annotation_of(benchmark, status), condition_of(status)
    if annotation is None or (condition is None and annotation.end is not None):
        return None
    return None if condition is not None and condition.status is ConditionStatus.TRUE else annotation


def annotation_of(benchmark: Benchmark, status: Status) -> RunAnnotation | None:
    """The annotation of the run that a status is about. None: it is about none."""
    if status.run is None or status.start_time is None:
        return None
    lines = (_head(benchmark, status), *_verdict(status))
    return RunAnnotation(
        namespace=benchmark.namespace,
        benchmark=benchmark.name,
        run_id=status.run.id,
        start=status.start_time,
        end=status.completion_time,
        text="<br>".join(lines),
    )


def broken_off(begun: RunAnnotation, now: datetime) -> RunAnnotation:
    """The annotation of a run whose benchmark was deleted while it was on."""
    end = max(now.replace(microsecond=0), begun.start)
    return begun.model_copy(update={"end": end, "text": f"{begun.text}<br>deleted while the run was on"})


def condition_of(status: Status | None) -> Condition | None:
    """The condition `Annotated`; None: there is none."""
    return find_condition(status, ConditionType.ANNOTATED)


def noted(situation: Situation, status: Status | None) -> Status | None:
    """The status that was decided on, with the condition. None: nothing is to be written, also not on its account."""
    benchmark, before = situation.benchmark, situation.benchmark.status
    after = status or before
    if after is None:
        return status
    others = tuple(each for each in after.conditions if each.type is not ConditionType.ANNOTATED)
    if not situation.annotates:  # what it says is of a Grafana that there is no more: it goes with the next write
        return status.model_copy(update={"conditions": others}) if status else None
    condition = _condition(situation, benchmark, before, after)
    with_it = after.model_copy(update={"conditions": (*others, *([condition] if condition else []))})
    if status is None and condition == condition_of(before):
        return None
    return with_it


def _condition(situation: Situation, benchmark: Benchmark, before: Status | None, after: Status) -> Condition | None:
    wanted = annotation_of(benchmark, after)
    if wanted is None:
        return None
    former, known = annotation_of(benchmark, before) if before else None, condition_of(before)
    if known is None and former is not None and former.end is not None and _same_run(former, wanted):
        return None  # it had ended before there was a Grafana
    told = situation.told
    if told is not None and told.annotation == wanted:
        said = _said(situation, after, told)
        # Another failure after one says nothing new that would be worth a write.
        return known if known is not None and former == wanted and known.status is said.status else said
    if known is not None and former == wanted:
        return known
    what = "the run's end" if wanted.end else "the run"
    return _as_condition(situation, after, ConditionStatus.UNKNOWN, NOT_YET, f"{what} is yet to be told to Grafana")


def _same_run(one: RunAnnotation, other: RunAnnotation) -> bool:
    return (one.run_id, one.start) == (other.run_id, other.start)


def _said(situation: Situation, after: Status, told: Told) -> Condition:
    if told.problem is None:
        message = f"Grafana has the run, with the tags {', '.join(told.annotation.tags)}"
        return _as_condition(situation, after, ConditionStatus.TRUE, "Annotated", message)
    reason = TROUBLES[told.problem.kind]
    return _as_condition(situation, after, ConditionStatus.FALSE, reason, told.problem.message)


def _as_condition(situation: Situation, after: Status, status: ConditionStatus, reason: str, message: str) -> Condition:
    return Condition(
        type=ConditionType.ANNOTATED,
        status=status,
        observed_generation=after.observed_generation,
        last_transition_time=situation.now,
        reason=reason,
        message=shorten(message, MESSAGE_LIMIT),
    )


def _head(benchmark: Benchmark, status: Status) -> str:
    phase = outcome_of(status) or ""
    run = f"run {status.run.id}" if status.run else "run"
    what = f"{benchmark.namespace}/{benchmark.name}, {run}: {counted(len(status.models), 'model')}"
    return f"<b>{what}{f', {phase}' if phase else ''}</b>"


def _verdict(status: Status) -> Iterator[str]:
    """What came out, of a run that has ended. Servers have their say in it, and Grafana shows it as HTML."""
    if status.completion_time is None:
        return
    failure = status.failure
    if outcome_of(status) is not Phase.SUCCEEDED:
        last = find_condition(status, ConditionType.SUCCEEDED)
        if last is not None and (failure is None or last.reason != failure.reason):
            yield _line(f"{last.reason}: {last.message}")
    winner = best(status)
    if winner is not None:
        yield _line(winner)
    worse = find_condition(status, ConditionType.REGRESSED)
    if worse is not None and worse.status is ConditionStatus.TRUE:
        yield _line(f"{worse.reason}: {worse.message}")
    if failure is not None:
        of_model = f", model {failure.model}" if failure.model else ""
        yield _line(f"{failure.reason}, blame {failure.blame.value}{of_model}: {failure.message}")


def _line(text: str) -> str:
    return escape(shorten(printable(text), LINE_LIMIT), quote=False)
