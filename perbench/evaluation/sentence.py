"""What the run means, in words: one sentence first, then what must be known with it. Plain text, no markup."""

from collections.abc import Sequence

from perbench.evaluation.values import Evaluation, Exclusion, ModelEvaluation, Row, TaskEvaluation
from perbench.per import Reason
from perbench.per.words import likelihood, number, why_absent

FEW_TASKS = 4
"""Up to this many tasks are named one by one."""
LIKELY = 0.95
"""Under this probability of being the best the order may be chance."""

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
    figure = f"{number(best.reference_per)} {_against(evaluation)}."
    if evaluation.settings.weights or any(_lacks_an_axis(task) for task in evaluation.tasks):
        weighted = ", with the weights given" if evaluation.settings.weights else ""
        return f"{best.model} has the highest Reference PER {where}{weighted}: {figure}"
    return f"{best.model} gives the most accuracy and speed for its memory {where}: Reference PER {figure}"


def remarks(evaluation: Evaluation) -> tuple[str, ...]:
    """Sentences that belong to the headline: how close it was, who is not in it, what its figures are worth."""
    if evaluation.verdict.exit_code is None:
        return ()
    how_sure = (*_runner_up(evaluation), *_certainty(evaluation))
    return (*how_sure, *_passed_over(evaluation), *_excluded(evaluation), *_intervals(evaluation))


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
        reasons = _reasons(evaluation)
        if Reason.BELOW_QUALITY_FLOOR in reasons:
            return "No model is named best, because none reaches the quality floor."
        reference = evaluation.settings.reference
        if Reason.REFERENCE_ZERO in reasons:
            return f"No model is named best, because a figure of the reference model {reference} is 0."
        return f"No model is named best, because the reference model {reference} has no figures to compare with."
    return "No model is named best, because none has figures that can be compared on every task."


def _where(won: int, tasks: int, of: int) -> str:
    """On how many tasks it won; `tasks` could be ranked `of` all."""
    ranked = " that can be ranked" if tasks < of else ""
    if tasks == 1:
        return f"on the one task{ranked}"
    if won == tasks:
        return f"on both tasks{ranked}" if tasks == 2 else f"on all {_count(tasks)} tasks{ranked}"
    if not won:
        return f"over all tasks{ranked or ' together'}"
    return f"on {_count(won)} of {'the ' if ranked else ''}{_count(tasks)} tasks{ranked}"


def _against(evaluation: Evaluation) -> str:
    """Against whom. The one that wins most tasks need not have the highest mean over them."""
    best, reference = evaluation.best, evaluation.settings.reference
    if best is None or best.model != reference:
        return f"against {reference}, which has 1"
    means = [model.reference_per for model in evaluation.models if model.reference_per is not None]
    highest = all(mean <= best.reference_per for mean in means)
    return f"by definition, as it is the reference{', and no other has more' if highest else ''}"


def _lacks_an_axis(task: TaskEvaluation) -> bool:
    """Whether accuracy, speed or memory has no part in a ranking: nobody, or not everybody, has a figure for it."""
    return bool(task.order) and any(entry.reason is Reason.NOT_MEASURED for entry in task.left_out)


def _reasons(evaluation: Evaluation) -> set[Reason | None]:
    """Why compared models have no Reference PER."""
    return {row.scores.reference.reason for task in evaluation.tasks for row in task.rows if row.scores.reference}


def _runner_up(evaluation: Evaluation) -> list[str]:
    best = evaluation.best
    ranked = [model for model in evaluation.models if model.reference_per is not None]
    others = sorted((m for m in ranked if best and m.name != best.model), key=_standing, reverse=True)
    if not others or others[0].reference_per is None:
        return []
    return [f"{others[0].name} follows with {number(others[0].reference_per)}."]


def _certainty(evaluation: Evaluation) -> list[str]:
    """How likely the best is the best, task by task, or from the least to the most likely of many."""
    best = evaluation.best
    tasks = [task for task in evaluation.tasks if best is not None and len(task.order) > 1]
    known = [(p, task.record.name) for task in tasks if best and (p := _probability(task, best.model)) is not None]
    if not known:
        return []
    least, most = min(known), max(known)
    if len(known) <= FEW_TASKS:
        shares = ", ".join(f"{likelihood(p)} on {task}" for p, task in known)
    else:
        shares = f"from {likelihood(least[0])} on {least[1]} to {likelihood(most[0])} on {most[1]}"
    chance = f" Under {100 * LIKELY:.0f} % the order may be chance." if least[0] < LIKELY else ""
    return [f"How likely it is the best: {shares}.{chance}"]


def _probability(task: TaskEvaluation, model: str) -> float | None:
    uncertainty = task.row(model).scores.uncertainty
    return uncertainty.probability_best if uncertainty else None


def _passed_over(evaluation: Evaluation) -> list[str]:
    names = evaluation.best.passed_over if evaluation.best else ()
    return [f"{_join(names)} won more tasks, but cannot be ranked on every one."] if names else []


def _standing(model: ModelEvaluation) -> tuple[int, float]:
    return (model.tasks_won, model.reference_per or 0.0)


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


def _intervals(evaluation: Evaluation) -> list[str]:
    """What the intervals hold, or why there are none: the same for all tasks."""
    known = [task.uncertainty for task in evaluation.tasks if task.uncertainty is not None and task.order]
    rounds = evaluation.results.resolved.rounds
    if any(entry.reason is Reason.TOO_FEW_REPLICATES for entry in known):
        return [f"There are no intervals: they need three {'rounds' if rounds > 1 else 'repeats or rounds'}."]
    if not any(entry.reason is None for entry in known):
        return []
    if rounds == 1:
        return ["Every model was started once: intervals (95 %) hold within one launch; a new start may change more."]
    return [f"Intervals are 95 %, over {_count(rounds)} starts of each model."]


def _join(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _count(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else str(count)
