"""The `perbench` command. One module per command, each with `register(app)`.

Modules here import what they need inside the command function: `perbench --help` must not load numpy or pydantic.
This is the only place that turns errors into exit codes.
"""

import errno
import importlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    import typer

COMMANDS = (
    "run",
    "load",
    "calibrate",
    "score",
    "report",
    "compare",
    "top",
    "export",
    "validate",
    "crd",
    "grafana",
    "truth_server",
)
"""Modules of this package, in the order `--help` shows them."""

_OUTPUT_LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main() -> None:
    """Entry point of `perbench`."""
    _end_well(_app, "perbench")


def kubectl_main() -> None:
    """Entry point of `kubectl-perbench`."""
    _end_well(_kubectl_app, "kubectl perbench")


def _end_well(app: "Callable[[], typer.Typer]", program: str) -> None:
    """Run a program: a user's mistake ends in one line on stderr and exit code 2, never in a traceback."""
    if sys.stdout is None:  # the shell closed it
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    from perbench.errors import PerbenchError

    try:
        try:
            app()()
        finally:
            sys.stdout.flush()  # what is still buffered may be what does not fit
    except PerbenchError as error:
        sys.stderr.write(f"{program}: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        sys.exit(130)
    except OSError as error:
        _end_without_output(error)


def _app() -> "typer.Typer":
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
    return app


def _kubectl_app() -> "typer.Typer":
    from perbench.cli.kubectl import kubectl_app

    return kubectl_app()


def _end_without_output(error: OSError) -> NoReturn:
    """One line where standard output takes nothing any more, silence where its reader left; raises any other error."""
    if error.filename is not None or error.errno not in _OUTPUT_LOST | {errno.EPIPE}:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python writes its buffer once more as it exits
    if error.errno == errno.EPIPE:
        sys.exit(1)
    sys.stderr.write(f"perbench: cannot write to standard output: {error.strerror}; make room, or send it elsewhere\n")
    sys.exit(4)
