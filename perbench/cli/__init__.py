"""The `perbench` command. One module per command, each with `register(app)`.

Modules here import what they need inside the command function: `perbench --help` must not load numpy or pydantic.
This is the only place that turns errors into exit codes.
"""

import importlib
import sys

COMMANDS = ("run", "load", "score", "report", "compare", "export", "validate", "crd")
"""Modules of this package, in the order `--help` shows them."""


def main() -> None:
    """Entry point: a user's mistake ends in one line on stderr and exit code 2, never in a traceback."""
    import typer

    app = typer.Typer(
        name="perbench",
        help="Which language model, served how, is worth its hardware: measured, with its uncertainty.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for name in COMMANDS:
        importlib.import_module(f"perbench.cli.{name}").register(app)
    from perbench.errors import PerbenchError

    try:
        app()
    except PerbenchError as error:
        sys.stderr.write(f"perbench: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("perbench: interrupted\n")
        sys.exit(130)
