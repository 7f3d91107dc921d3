"""What `perbench score` scores: a table of figures or results, told apart by what they begin with."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from perbench.api.reading import read_file
from perbench.cli import score_output
from perbench.cli import score_results as results_output
from perbench.evaluation import evaluate
from perbench.failures import UsageError, shorten
from perbench.per.table import Table, parse_table
from perbench.per.table_scores import score_table
from perbench.record.rescore import rescored, with_settings_of
from perbench.report import render
from perbench.report.notices import Notice, notices
from perbench.report.table_page import render_table
from perbench.report.terminal import table
from perbench.results import Results
from perbench.results_file import checked_results, read_results, shown


@dataclass(frozen=True)
class Scores:
    """One file, scored. What takes long is made when it is asked for."""

    json: Callable[[], str]
    text: Callable[[], str]
    page: Callable[[], str]
    notes: tuple[str, ...] = ()
    """What is absent and why; stands in the text."""


def score_file(path: Path, reference: str | None, quality_floor: float | None, settings: Path | None) -> Scores:
    """A table or results, under these settings. `settings`: a benchmark's file, for results. Raises UsageError."""
    if path.is_dir() or path.suffix.lower() == ".json":
        return _score_results(_reset(read_results(path), settings), reference, quality_floor)
    data = _content(path)
    if data.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
        return _score_results(_reset(checked_results(data, path), settings), reference, quality_floor)
    if settings is not None:
        raise UsageError(
            f"{shown(path)}: --settings is for a results.json; a table takes --reference and --quality-floor"
        )
    return _score_table(parse_table(data, shown(path)), reference, quality_floor)


def _reset(results: Results, settings: Path | None) -> Results:
    """The results with the settings of a benchmark's file in place of their own."""
    return results if settings is None else with_settings_of(results, read_file(settings).spec, shown(settings))


def _content(path: Path) -> bytes:
    """Read once: a pipe can be read only once."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{shown(path)}: cannot be read: {error.strerror or error}; give the path of a CSV table or a results.json"
        ) from error


def _score_table(read: Table, reference: str | None, quality_floor: float | None) -> Scores:
    scored = score_table(read, reference, quality_floor)
    options = [*(["--reference", reference] if reference is not None else [])]
    options += ["--quality-floor", f"{quality_floor:g}"] if quality_floor is not None else []
    return Scores(
        json=lambda: score_output.to_json(read, scored),
        text=lambda: score_output.to_text(read, scored),
        page=lambda: render_table(read, scored, options),
        notes=tuple(score_output.notes(read, scored)),
    )


def _score_results(read: Results, reference: str | None, quality_floor: float | None) -> Scores:
    """Settings that are not given stay those of the run."""
    results = rescored(read, reference, quality_floor)
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
