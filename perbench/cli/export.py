"""`perbench export RESULTS.json`: results for other programs."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    LLM_D = "llm-d"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS.json", show_default=False, help="Of perbench run, or its output directory."),
    ],
    kind: Annotated[
        Format,
        typer.Option("--format", help="csv: a row per model and task. llm-d: a Benchmark Report v0.2 for each."),
    ] = Format.CSV,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PATH", show_default="standard output",
            help="A file for csv, a directory for llm-d.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Write results in the formats of other programs."""
    from perbench.cli.output import STANDARD_OUTPUT, write_output
    from perbench.evaluation import evaluate
    from perbench.export import llmd_reports, to_csv
    from perbench.failures import UsageError
    from perbench.results_file import read_results

    evaluation = evaluate(read_results(results))
    if kind is Format.CSV:
        write_output(output or STANDARD_OUTPUT, to_csv(evaluation))
        return
    if output is None or output == STANDARD_OUTPUT or output.is_file():
        raise UsageError("--format llm-d writes one file per model and task: give a directory with -o")
    reports = llmd_reports(evaluation)
    if not reports:
        raise UsageError(f"{results}: no stage is recorded, so there is nothing to export")
    for name, text in reports.items():
        write_output(output / name, text)
    sys.stdout.write(f"{output}: {len(reports)} reports written\n")
