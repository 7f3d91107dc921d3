"""`perbench crd`: the CustomResourceDefinition, for clusters where Helm does not install it."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("crd")(crd)


def crd(
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", show_default=False, help="Write it to a file instead.")
    ] = None,
) -> None:
    """Print the CustomResourceDefinition of PERBenchmark, ready for `kubectl apply -f -`."""
    from perbench.api.crd import crd_yaml
    from perbench.failures import UsageError

    if output is None:
        sys.stdout.write(crd_yaml())
        return
    try:
        output.write_text(crd_yaml(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{output}: cannot be written: {error.strerror or error}") from error
