"""`perbench top`."""

import os
import sys
from typing import Annotated

import typer

Every = Annotated[float, typer.Option("--every", metavar="S", min=0.5, max=60, help="Seconds between two looks.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(top)


def top(
    url: Annotated[
        str, typer.Argument(metavar="URL", show_default=False, help="Where a bench pod shows its metrics: HOST:PORT.")
    ],
    every: Every = 2.0,
) -> None:
    """Watch a run while it runs, from the metrics of its bench pod.

    Into a file or a pipe one picture is written. Exit code: 0, 1 nothing answers, 2 usage.
    """
    from perbench.cli.extras import need

    need("prometheus_client", "what reads metrics", "cluster")
    from perbench.live.address import Address
    from perbench.live.watch import watch

    watch(Address(url).look, every, sys.stdout, os.environ.get("TERM"))
