"""The page of a run: one HTML file that needs nothing else, runs no script and fetches nothing."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from perbench.evaluation import evaluate
from perbench.per.words import ABSENT
from perbench.report import origin, view
from perbench.results import Results

TEMPLATES = Path(__file__).parent / "templates"


def render(results: Results) -> str:
    """The report of these results as HTML. Everything in them is shown as text, whatever it contains."""
    evaluation = evaluate(results)
    styles = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    sentence, remarks = view.summary(evaluation)
    version = results.provenance.get("perbench")
    return (
        _environment()
        .get_template("report.html")
        .render(
            name=results.name,
            # The one style sheet is allowed by its hash: styles or scripts that a name smuggles in would not run.
            style_hash=base64.b64encode(hashlib.sha256(styles.encode()).digest()).decode(),
            styles=Markup(styles),  # noqa: S704 - our own file, and its hash stands in the policy
            verdict=view.verdict_label(evaluation),
            exit_code=evaluation.verdict.exit_code,
            sentence=sentence,
            remarks=remarks,
            failure=evaluation.verdict.failure,
            failures=[model.failure for model in evaluation.models if model.failure is not None],
            notices=view.page_notices(evaluation),
            conditions=evaluation.verdict.conditions,
            tasks=[view.task_view(task, evaluation) for task in evaluation.tasks],
            detail_names=view.DETAILS,
            run=origin.run_facts(results),
            machine=origin.machine_facts(results),
            models=origin.model_origins(evaluation),
            asked=origin.task_facts(results),
            yaml=origin.resource_yaml(results),
            command=origin.command(results),
            version=version if isinstance(version, str) else None,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters["figure"] = _figure
    return environment


def _figure(text: str) -> str:
    """A figure; the dash of an absent one is as wide as a digit."""
    return view.DASH if text == ABSENT else text


def _printable(value: Any) -> Any:  # noqa: ANN401 - Jinja passes every value of a template through here
    """Text without control and direction characters, which could make a name read as another."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in value)
