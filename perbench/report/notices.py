"""Warnings as people read them: those that say the same of several models or tasks stand once."""

from dataclasses import dataclass

from perbench.evaluation.values import Evaluation, Warned


@dataclass(frozen=True)
class Notice:
    """One warning and what it is about: `topics, answers`, `small-cache on topics`; empty for the whole run."""

    code: str
    message: str
    about: str
    invalidates: bool


SAID = frozenset({"WithinOneLaunch", "TooFewReplicates"})
"""What the remarks under the sentence say already, of the whole run."""


def notices(evaluation: Evaluation) -> tuple[Notice, ...]:
    """All warnings but those in `SAID`, in the order of their first appearance."""
    subjects: dict[tuple[str, str], list[str]] = {}
    for warning in evaluation.warnings:
        if warning.code in SAID:
            continue
        subjects.setdefault((warning.code, warning.message), []).append(_subject(warning))
    return tuple(
        Notice(code, message, ", ".join(filter(None, about)), code in _invalidating(evaluation))
        for (code, message), about in subjects.items()
    )


def _subject(warning: Warned) -> str:
    return " on ".join(part for part in (warning.model, warning.task) if part)


def _invalidating(evaluation: Evaluation) -> set[str]:
    return {
        noted.finding.code
        for task in evaluation.tasks
        for row in task.rows
        for noted in row.cell.findings
        if noted.finding.invalidates
    }
