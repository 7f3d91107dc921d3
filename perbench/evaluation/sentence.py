"""What the run means, in words: one sentence first, then what must be known with it. Plain text, no markup."""

from collections.abc import Sequence

from perbench.evaluation.values import Evaluation, Exclusion, ModelEvaluation, Row, TaskEvaluation
from perbench.per.words import number, why_absent

FEW_LAUNCHES = 10
"""Below this many launches per model the remark says that they are few."""

EXCLUDED = {
    Exclusion.MODEL_FAILED: "the model failed",
    Exclusion.NOT_FINISHED: "not all of its stages are recorded",
    Exclusion.MEASUREMENT_INVALID: "the measurement is not valid",
    Exclusion.TOO_MANY_ERRORS: "too many requests failed",
    Exclusion.TOO_FEW_SAMPLES: "too few items were sent or scored",
    Exclusion.OUTPUT_LENGTH_MISSED: "its outputs were not as long as asked",
}
"""Why figures are shown and not compared."""

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def headline(evaluation: Evaluation) -> str:
    """The one sentence."""
    if evaluation.verdict.exit_code is None:
        return (
            f"The run is not at its end: {evaluation.completed_stages} of {evaluation.planned_stages} stages are"
            " recorded, and PER is given when all are."
        )
    best = evaluation.best
    if best is None:
        return _without_best(evaluation)
    if evaluation.compared_models == 1:
        return f"Only {best.model} could be compared, so its PER of 1 stands for nothing but itself."
    if not any(len(task.order) > 1 for task in evaluation.tasks):
        return "On no task can two models be compared, so PER ranks nothing."
    where = _where(best.tasks_won, best.tasks, of=len(evaluation.tasks))
    return (
        f"{best.model} gives the most accuracy and speed for its memory {where}:"
        f" Reference PER {number(best.reference_per)} {_against(evaluation)}."
    )


def remarks(evaluation: Evaluation) -> tuple[str, ...]:
    """Sentences that belong to the headline: how close it was, who is not in it, what its figures are worth."""
    if evaluation.verdict.exit_code is None:
        return ()
    return (*_runner_up(evaluation), *_passed_over(evaluation), *_excluded(evaluation), *_launches(evaluation))


def why_no_score(row: Row) -> str:
    """Why a row has no PER, or no Published one. Empty where it has both."""
    if row.cell.excluded is not None:
        return EXCLUDED[row.cell.excluded]
    reasons = [
        text
        for score in (row.scores.reference, row.scores.published)
        if score is not None and (text := why_absent(score))
    ]
    return "; ".join(dict.fromkeys(reasons))


def _without_best(evaluation: Evaluation) -> str:
    if evaluation.compared_models == 0:
        return f"No model can be compared: {evaluation.verdict.conditions[-1].message}."
    if any(row.apart for task in evaluation.tasks for row in task.rows):
        return "No model is named best, because models of unlike units or prompts are ranked apart."
    if not any(task.order for task in evaluation.tasks):
        reference = evaluation.results.resolved.reference
        return f"No model is named best, because the reference model {reference} has no figures to compare with."
    return "No model is named best, because none has figures that can be compared on every task."


def _where(won: int, tasks: int, of: int) -> str:
    """On how many tasks it won; `tasks` could be ranked `of` all."""
    if tasks < of:
        return f"on {_count(won)} of the {_count(tasks)} task{'s' if tasks != 1 else ''} that can be ranked"
    if tasks == 1:
        return "on the one task"
    if won == tasks:
        return "on both tasks" if tasks == 2 else f"on all {_count(tasks)} tasks"
    return f"on {_count(won)} of {_count(tasks)} tasks" if won else "over all tasks together"


def _against(evaluation: Evaluation) -> str:
    reference = evaluation.results.resolved.reference
    if evaluation.best is not None and evaluation.best.model == reference:
        return "by definition, as it is the reference, and no other has more"
    return f"against {reference}, which has 1"


def _runner_up(evaluation: Evaluation) -> list[str]:
    best = evaluation.best
    ranked = [model for model in evaluation.models if model.reference_per is not None]
    others = sorted((m for m in ranked if best and m.name != best.model), key=_standing, reverse=True)
    if best is None or not others or others[0].reference_per is None:
        return []
    second = others[0]
    close = [task.record.name for task in evaluation.tasks if _overlap(task, best.model, second.name)]
    follows = f"{second.name} follows with {number(others[0].reference_per)}"
    if not close:
        return [f"{follows}."]
    return [f"{follows}; on {_join(close)} the rounds of the two overlap, so their order there may be chance."]


def _passed_over(evaluation: Evaluation) -> list[str]:
    names = evaluation.best.passed_over if evaluation.best else ()
    return [f"{_join(names)} won more tasks, but cannot be ranked on every one."] if names else []


def _standing(model: ModelEvaluation) -> tuple[int, float]:
    return (model.tasks_won, model.reference_per or 0.0)


def _overlap(task: TaskEvaluation, first: str, second: str) -> bool:
    """Whether the ranges over the rounds meet."""
    one, other = task.row(first).scores.reference_spread, task.row(second).scores.reference_spread
    return bool(one and other and one.low <= other.high and other.low <= one.high)


def _excluded(evaluation: Evaluation) -> list[str]:
    sentences = []
    failed = [model.name for model in evaluation.models if model.failure is not None]
    if failed:
        sentences.append(f"Not compared, because {'it' if len(failed) == 1 else 'they'} failed: {_join(failed)}.")
    for task in evaluation.tasks:
        for row in task.rows:
            reason = row.cell.excluded
            if reason is not None and reason is not Exclusion.MODEL_FAILED:
                sentences.append(f"{row.cell.model} is not compared on {task.record.name}: {EXCLUDED[reason]}.")
    return sentences


def _launches(evaluation: Evaluation) -> list[str]:
    rounds = evaluation.results.resolved.rounds
    if not any(task.order for task in evaluation.tasks):
        return []
    if rounds == 1:
        return ["Each model was started once: how much a new start changes the figures is not known."]
    if rounds >= FEW_LAUNCHES:
        return []
    few = _count(rounds)
    what = f"ranges are the lowest and highest of the {few} rounds, not confidence intervals"
    return [f"{few.capitalize()} starts of each model are few: {what}."]


def _join(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _count(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)
