"""What `perbench score` scores: a table of figures or results, told apart by what they begin with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perbench.cli import score_output
from perbench.cli import score_results as results_output
from perbench.evaluation import evaluate
from perbench.failures import shorten
from perbench.per.table import read_table
from perbench.per.table_scores import score_table
from perbench.record.rescore import rescored
from perbench.report import render
from perbench.report.notices import Notice, notices
from perbench.report.table_page import render_table
from perbench.report.terminal import table
from perbench.results_file import read_results


@dataclass(frozen=True)
class Scores:
    """One file, scored. What takes long is made when it is asked for."""

    json: Callable[[], str]
    text: Callable[[], str]
    page: Callable[[], str]
    notes: tuple[str, ...] = ()
    """What is absent and why; stands in the text."""


def is_results(path: Path) -> bool:
    """Whether a file is, or is meant to be, results: a directory, a .json, or anything that begins with a brace."""
    if path.is_dir() or path.suffix.lower() == ".json":
        return True
    try:
        with path.open("rb") as file:
            return file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")
    except OSError:
        return False  # reading it as a table will say what is wrong with it


def score_table_file(path: Path, reference: str | None, quality_floor: float | None) -> Scores:
    """A table. Raises UsageError."""
    read = read_table(path)
    scored = score_table(read, reference, quality_floor)
    options = [*(["--reference", reference] if reference is not None else [])]
    options += ["--quality-floor", f"{quality_floor:g}"] if quality_floor is not None else []
    return Scores(
        json=lambda: score_output.to_json(read, scored),
        text=lambda: score_output.to_text(read, scored),
        page=lambda: render_table(read, scored, options),
        notes=tuple(score_output.notes(read, scored)),
    )


def score_results(path: Path, reference: str | None, quality_floor: float | None) -> Scores:
    """Results under these settings; those of their own spec where there are none. Raises UsageError."""
    results = rescored(read_results(path), reference, quality_floor)
    evaluation = evaluate(results)
    return Scores(
        json=lambda: results_output.to_json(evaluation),
        text=lambda: table(evaluation),
        page=lambda: render(results),
        notes=tuple(_note(notice) for notice in notices(evaluation)),
    )


def _note(notice: Notice) -> str:
    about = f" ({notice.about})" if notice.about else ""
    return shorten(" ".join(f"{notice.code}{about}: {notice.message}".split()))
