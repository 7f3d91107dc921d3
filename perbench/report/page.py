"""The page of a run."""

from perbench.evaluation import Settings, evaluate
from perbench.report import origin, view
from perbench.report.document import document
from perbench.results import Results


def render(results: Results, settings: Settings | None = None) -> str:
    """The report of these results as HTML. Everything in them is shown as text, whatever it contains.

    `settings` in place of those of the results' own spec. UsageError as in `evaluate`.
    """
    evaluation = evaluate(results, settings)
    sentence, remarks = view.summary(evaluation)
    version = results.provenance.get("perbench")
    values = {
        "name": results.name,
        "verdict": view.verdict_label(evaluation),
        "exit_code": evaluation.verdict.exit_code,
        "sentence": sentence,
        "remarks": remarks,
        "failure": evaluation.verdict.failure,
        "failures": [model.failure for model in evaluation.models if model.failure is not None],
        "notices": view.page_notices(evaluation),
        "conditions": evaluation.verdict.conditions,
        "tasks": [view.task_view(task, evaluation) for task in evaluation.tasks],
        "detail_names": view.DETAILS,
        "weighted": bool(evaluation.settings.weights),
        "measured_use": any(row.cell.use.known for task in evaluation.tasks for row in task.rows),
        "priced": " or ".join(sorted(evaluation.settings.prices)),
        "run": origin.run_facts(results),
        "scored": origin.score_facts(evaluation.settings),
        "machine": origin.machine_facts(results),
        "models": origin.model_origins(evaluation),
        "asked": origin.task_facts(results),
        "yaml": origin.resource_yaml(results),
        "command": origin.command(results),
        "version": version if isinstance(version, str) else None,
    }
    return document("report.html", values)
