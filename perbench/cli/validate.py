"""`perbench validate FILE...`: are these benchmarks right?"""

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate")(validate)


def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", show_default=False, help="Benchmarks in YAML.")],
) -> None:
    """Check benchmark files: every mistake with its line, what is allowed, what was perhaps meant. Exit 2 if any."""
    from perbench.api.reading import check_text, describe, read_text
    from perbench.failures import UsageError

    found: list[str] = []
    for path in files:
        try:
            checked = check_text(read_text(path))
        except UsageError as error:
            found.append(str(error))
            continue
        found += [describe(path, problem) for document in checked for problem in document.problems]
        right = [document.benchmark for document in checked if document.benchmark is not None]
        sys.stdout.writelines(f"{path}: ok ({benchmark.summary})\n" for benchmark in right)
    sys.stderr.writelines(f"{line}\n" for line in found)
    if found:
        raise typer.Exit(2)
