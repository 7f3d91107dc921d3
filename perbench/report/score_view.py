"""PER of a task as the page shows it: both scales with their intervals, and how likely each model is the best."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from perbench.evaluation.sentence import why_no_score
from perbench.evaluation.values import Exclusion, Row, TaskEvaluation
from perbench.per import Basis, ModelUncertainty, Reason, Score
from perbench.per.words import ABSENT, ends, likelihood, nobody_ranked, published_cell, reference_cell, why_absent
from perbench.report.bars import Strip
from perbench.report.document import DASH
from perbench.report.scales import Scale, Tick, scale_of
from perbench.statistics.intervals import Interval

PUBLISHED = Scale(0.0, 1.0)
MOST_TICKS = 3
"""Of a column that is narrow on a phone."""
WORTH_SAYING = 0.01
"""Share of draws above 0 from which a Published 0 is said to be no sure one."""

NO_INTERVAL: Mapping[Reason, str] = {
    Reason.MISSING_FIGURE: "no interval: a figure is missing in one replicate",
    Reason.ZERO_FIGURE: "no interval: a figure is 0 in one replicate",
    Reason.REFERENCE_ZERO: "no interval: the reference may have no right answer at all",
}

EXCLUSION_LABELS: Mapping[Exclusion, str] = {
    Exclusion.MODEL_FAILED: "failed",
    Exclusion.NOT_FINISHED: "not finished",
    Exclusion.MEASUREMENT_INVALID: "not valid",
    Exclusion.TOO_MANY_ERRORS: "too many errors",
    Exclusion.TOO_FEW_SAMPLES: "too few samples",
    Exclusion.OUTPUT_LENGTH_MISSED: "outputs of another length",
}


@dataclass(frozen=True)
class ScoreCell:
    """A value on one scale."""

    text: str
    interval: str
    strip: Strip | None
    note: str = ""
    """What stands beside a value without an interval: how often a 0 is more than that, or why there is none."""


@dataclass(frozen=True)
class ScoreLine:
    """A model's PER on a task."""

    model: str
    place: str
    best: bool
    label: str
    """What it is besides: reference, failed, not valid."""
    pareto: bool
    reference: ScoreCell
    published: ScoreCell
    published_zero: bool
    likely: str
    """How likely it is the best; empty where nobody can say."""
    likely_width: float | None
    """The same in percent."""
    reason: str


@dataclass(frozen=True)
class ScoreView:
    """The table of a task."""

    reference: str
    """The reference model."""
    lines: tuple[ScoreLine, ...]
    ticks: tuple[Tick, ...]
    """Of the Reference scale."""
    one: float
    """Where the reference model stands on it, in percent."""
    uncertain: bool
    """Whether anybody has a probability of being the best."""
    covers: str
    """What the intervals hold, or why there are none; empty before the end of the run."""
    unranked: str
    """How often nobody reaches the quality floor; empty where somebody always does."""
    absent: str
    """Why nobody has a Published PER; empty where somebody has one."""


def score_view(task: TaskEvaluation, rows: Sequence[Row], launches: int, repeats: int) -> ScoreView:
    """The table of `rows` in their order; `launches` of each model, `repeats` in each."""
    place = {model: index for index, model in enumerate(task.order, start=1)}
    scale = scale_of([1.0, *(end for row in rows for end in _reach(row))])
    absent = _absent(rows)
    lines = tuple(_line(row, place, task, scale, quiet=bool(absent)) for row in rows)
    return ScoreView(
        reference=task.reference_model,
        lines=lines,
        ticks=scale.ticks(MOST_TICKS),
        one=scale.position(1.0),
        uncertain=any(line.likely for line in lines),
        covers=_covers(task, launches, repeats),
        unranked=nobody_ranked(task.uncertainty.nobody_ranked) if task.uncertainty else "",
        absent=absent,
    )


def _reach(row: Row) -> list[float]:
    """All that the Reference scale must hold of one row."""
    score, known = row.scores.reference, row.scores.uncertainty
    interval = known.reference_per if known else None
    values = [score.value] if score is not None and score.value is not None else []
    return values + ([interval.low, interval.high] if interval else [])


def _line(row: Row, place: Mapping[str, int], task: TaskEvaluation, scale: Scale, *, quiet: bool) -> ScoreLine:
    model, scores, known = row.cell.model, row.scores, row.scores.uncertainty
    is_reference = model == task.reference_model
    labels = [
        *(["reference"] if is_reference else []),
        *([EXCLUSION_LABELS[row.cell.excluded]] if row.cell.excluded else []),
        *(["ranked apart"] if row.apart else []),
    ]
    likely = known.probability_best if known and len(task.order) > 1 and not row.apart else None
    above = known.per_above_zero if known else None
    why = "" if known is None or task.uncertainty is None or task.uncertainty.reason else _no_interval(known)
    reference = _cell(scores.reference, reference_cell, known.reference_per if known else None, scale, note=why)
    return ScoreLine(
        model=model,
        place=str(place.get(model, "")),
        best=place.get(model) == 1,
        label=", ".join(labels),
        pareto=bool(scores.pareto),
        reference=replace(reference, interval="") if is_reference else reference,
        published=_cell(
            scores.published,
            published_cell,
            known.per if known else None,
            PUBLISHED,
            note=f"more than 0 in {likelihood(above)} of the draws" if above and above >= WORTH_SAYING else "",
        ),
        published_zero=scores.published is not None and scores.published.value == 0,
        likely="" if likely is None else likelihood(likely),
        likely_width=None if likely is None else round(100 * likely, 1),
        # What is said once under the table is not said again in each line.
        reason="" if quiet and reference.strip else why_no_score(row),
    )


def _no_interval(known: ModelUncertainty) -> str:
    """Why one model has no interval where others have."""
    return NO_INTERVAL.get(known.reason, "") if known.reason else ""


def _cell(
    score: Score | None, text: Callable[[Score], str], interval: Interval | None, scale: Scale, note: str = ""
) -> ScoreCell:
    if score is None or score.value is None:
        return ScoreCell(ABSENT, "", None)
    strip = Strip(scale.position(score.value))
    if interval is None:
        return ScoreCell(text(score), "", strip, note)
    strip = replace(strip, low=scale.position(interval.low), high=scale.position(interval.high))
    return ScoreCell(text(score), ends(interval, DASH), strip, note)


def _absent(rows: Sequence[Row]) -> str:
    """The one reason for which no compared model has a Published PER; empty where there are several, or a PER."""
    scores = [row.scores.published for row in rows if row.scores.published]
    reasons = {why_absent(score) for score in scores}
    return reasons.pop() if len(reasons) == 1 and all(score.value is None for score in scores) else ""


def _covers(task: TaskEvaluation, launches: int, repeats: int) -> str:
    known = task.uncertainty
    if known is None or not task.order:
        return ""
    if known.reason is Reason.TOO_FEW_REPLICATES:
        return "No intervals: they need three launches of each model, or three repeats within one."
    if known.reason is Reason.TOO_FEW_ITEMS:
        return "No intervals: all items come from a single source, so the error of accuracy is not known."
    if known.basis is Basis.REPEATS:
        return (
            f"Lines are 95 % intervals within one launch, from {repeats} repeats: every model was started once, and a"
            " new start may change more."
        )
    return f"Lines are 95 % intervals, from {launches} launches of each model: they hold what a new start changes."
