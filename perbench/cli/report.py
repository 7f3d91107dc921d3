"""`perbench report RESULTS.json`: the page of a run."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    results: Annotated[
        Path,
        typer.Argument(metavar="RESULTS.json", show_default=False, help="Of perbench run, or its output directory."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The page; - for standard output.")
    ] = Path("report.html"),
) -> None:
    """Write the page of a run from its results.

    One HTML file that needs nothing else: no network, no script.
    """
    from perbench.cli.output import STANDARD_OUTPUT, write_output
    from perbench.report import render
    from perbench.results_file import read_results

    write_output(output, render(read_results(results)))
    if output != STANDARD_OUTPUT:
        sys.stdout.write(f"{output}: written\n")
