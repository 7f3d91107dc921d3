"""`perbench run`: a benchmark on this machine."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def run(
        file: Annotated[Path, typer.Argument(help="a file with one PERBenchmark", show_default=False)],
        output_dir: Annotated[
            Path | None,
            typer.Option(help="where results go, and a run continues", show_default="perbench-results/NAME"),
        ] = None,
        runtime: Annotated[
            str | None,
            typer.Option(help="serve with this where the file names a runtime that cannot be started here: LlamaCpp"),
        ] = None,
    ) -> None:
        """Measure the models of a benchmark as local processes.

        Exit code: 0 succeeded, 3 measurement invalid, 4 a model failed, 2 usage, 130 interrupted. Run it again after an
        interruption: it continues after the last finished stage.
        """
        from perbench.local.interruption import Interrupted, Interruption

        try:
            with Interruption() as interruption:
                from perbench.local.command import Request, run_command

                code = run_command(Request(file, output_dir, runtime), sys.stdout, interruption)
        except Interrupted:
            sys.stderr.write("perbench: interrupted before anything was measured\n")
            code = 130
        raise typer.Exit(code)
