"""`perbench score`: PER of a table of ready figures, or of results under other settings."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(score)


def score(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A table (CSV, docs/per.md) or a results.json.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="A list of one object per row, on standard output.")] = False,
    reference: Annotated[
        str | None,
        typer.Option(metavar="M", help="Model that has 1 on the reference scale. Default: each task's first."),
    ] = None,
    quality_floor: Annotated[
        float | None,
        typer.Option(metavar="X", help="Models with an accuracy below this (0 to 1) are not ranked."),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings",
            metavar="FILE",
            help="A PERBenchmark: its spec.per and spec.capacity replace those of the results. The two options above"
            " replace what it says.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the page of these scores as well.", show_default=False),
    ] = None,
) -> None:
    """Score a table of figures, or results anew.

    PER as the study defines it, the reference scale beside it, the Pareto front.
    """
    from perbench.cli.output import write_output
    from perbench.cli.score_sources import score_file

    scores = score_file(source, reference, quality_floor, settings)
    if report is not None:
        write_output(report, scores.page())
    if as_json:
        sys.stdout.write(scores.json())
        sys.stderr.writelines(f"perbench: {note}\n" for note in scores.notes)
    else:
        sys.stdout.write(scores.text())
