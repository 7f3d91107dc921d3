"""An order carried out, report by report: the annotations, then the dashboards."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from perbench.errors import PerbenchError
from perbench.grafana.annotate import Annotations, annotate
from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.changes import Json
from perbench.grafana.orders import Order, Problem, ProblemKind, Report
from perbench.grafana.push import Grafana, Verb, push


class GrafanaError(PerbenchError):
    """Grafana does not answer, or does not do what it is asked."""

    def __init__(self, message: str, kind: ProblemKind, *, of_everything: bool, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(
            kind=kind, message=message[:1024], retry_after_seconds=retry_after, of_everything=of_everything
        )


class WholeGrafana(Grafana, Annotations, Protocol):
    """Both parts of what is asked of one."""


def tell(
    grafana: WholeGrafana,
    order: Order,
    dashboards: Callable[[], Mapping[str, Json]],
    folder: str,
    prometheus_url: str | None = None,
) -> Iterator[Report]:
    """Carry out an order; every part of it gets a report. `dashboards`: makes them, by uid, where they are asked for.

    A Grafana that is away is not asked for every part anew: all that is left gets the report of the first. What it
    takes no annotations from may still bring it dashboards: they are other rights.
    """
    over, before = None, None
    for number, wanted in enumerate(order.annotations):
        report = Report(annotation=number, problem=over) if over else _annotated(grafana, number, wanted)
        if over is None and report.problem is not None:
            report = report.model_copy(update={"problem": _of_all(report.problem, before)})
        yield report
        before = report.problem
        over = before if before is not None and before.of_everything else None
    if order.dashboards:
        away = over is not None and over.kind is ProblemKind.UNREACHABLE
        yield Report(problem=over) if away else _dashboards(grafana, dashboards(), folder, prometheus_url)


def _of_all(problem: Problem, before: Problem | None) -> Problem:
    """Grafana has an error: with one annotation that may be about this one, with two in a row it is about Grafana."""
    away = ProblemKind.UNREACHABLE
    twice = before is not None and before.kind is problem.kind is away
    return problem.model_copy(update={"of_everything": True}) if twice else problem


def _annotated(grafana: Annotations, number: int, wanted: RunAnnotation) -> Report:
    try:
        verb = annotate(grafana, wanted)
    except PerbenchError as error:
        return Report(annotation=number, problem=_problem(error))
    whose = f"annotation of {wanted.namespace}/{wanted.benchmark}, run {wanted.run_id}: {verb}"
    return Report(annotation=number, changes=() if verb is Verb.UNCHANGED else (whose,))


def _dashboards(grafana: Grafana, dashboards: Mapping[str, Json], folder: str, prometheus_url: str | None) -> Report:
    changes: list[str] = []
    problem = None
    try:
        written = (
            each for each in push(grafana, dashboards, folder, prometheus_url) if each.verb is not Verb.UNCHANGED
        )
        changes.extend(f"{each.what}: {each.verb}" for each in written)  # those before an error are kept
    except PerbenchError as error:
        problem = _problem(error)
    return Report(changes=tuple(changes), problem=problem)


def _problem(error: PerbenchError) -> Problem:
    if isinstance(error, GrafanaError):
        return error.problem
    return Problem(kind=ProblemKind.REFUSED, message=str(error)[:1024])
