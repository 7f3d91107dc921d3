"""`perbench compare BASELINE CANDIDATE`: what became of each figure."""

import sys
from pathlib import Path
from typing import Annotated

import typer

REGRESSED_EXIT, UNLIKE_EXIT = 5, 2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    baseline: Annotated[Path, typer.Argument(metavar="BASELINE", show_default=False, help="A results.json: before.")],
    candidate: Annotated[Path, typer.Argument(metavar="CANDIDATE", show_default=False, help="A results.json: now.")],
    as_json: Annotated[bool, typer.Option("--json", help="Ratios, intervals and verdicts as one object.")] = False,
    tolerance: Annotated[
        float, typer.Option(metavar="PERCENT", help="A change counts when its interval excludes 1 by more than this.")
    ] = 5.0,
) -> None:
    """Compare two results, figure by figure.

    Ratios with 95 % intervals, and what they show. Results that were not measured alike are refused.

    Exit code: 0 nothing got worse, 5 something did (or is not measured any more), 2 the two cannot be compared, as
    where one is not finished.
    """
    from perbench.cli import compare_text
    from perbench.comparison import compare_results
    from perbench.failures import UsageError
    from perbench.results_file import read_results

    if not 0 <= tolerance < 100:
        raise UsageError(f"--tolerance {tolerance:g} is not within 0 to 100 %")
    results = read_results(baseline), read_results(candidate)
    found = compare_results(*results, tolerance_percent=tolerance)
    names = str(baseline), str(candidate)
    sys.stdout.write(compare_text.to_json(found) if as_json else compare_text.to_text(found, names, results))
    if not compare_text.is_comparable(found):
        sys.stderr.write(f"perbench: {compare_text.why_not(found, names)}\n")
        raise typer.Exit(UNLIKE_EXIT)
    raise typer.Exit(REGRESSED_EXIT if compare_text.is_worse(found) else 0)
