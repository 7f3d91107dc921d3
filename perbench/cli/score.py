"""`perbench score TABLE.csv`: PER of a table of ready figures."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("score")(score)


def score(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="Columns: see docs/per.md.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="A list of one object per row, on standard output.")] = False,
    reference: Annotated[
        str | None,
        typer.Option(metavar="M", help="Model that has 1 on the reference scale. Default: each task's first."),
    ] = None,
    quality_floor: Annotated[
        float | None,
        typer.Option(metavar="X", help="Models with an accuracy below this (0 to 1) are not ranked."),
    ] = None,
) -> None:
    """Score a table of ready figures: PER as the study defines it, the reference scale, the Pareto front."""
    from perbench.cli import score_output
    from perbench.per.table import read_table
    from perbench.per.table_scores import score_table

    read = read_table(table)
    scored = score_table(read, reference, quality_floor)
    if as_json:
        sys.stdout.write(score_output.to_json(read, scored))
        sys.stderr.writelines(f"perbench: {note}\n" for note in score_output.notes(read, scored))
    else:
        sys.stdout.write(score_output.to_text(read, scored))
