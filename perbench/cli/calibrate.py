"""`perbench calibrate`: what this machine's load generator adds by itself, and up to which load it can be trusted."""

import json
import sys

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    text = "Find out how exactly this machine can measure, and up to which load."
    app.command(name="calibrate", help=text)(calibrate)


def calibrate(
    seconds: float = typer.Option(20.0, min=5, max=120, help="How long it may take."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Exit 0: done. 3: not even the lightest load can be trusted here now."""
    from perbench.cli.calibrate_text import calibration_text
    from perbench.failures import UsageError

    try:
        from perbench_bench.calibration import calibrate as measure
    except ImportError as error:
        raise UsageError(f"the load engine is not installed ({error}): pip install 'perbench[bench]'") from error
    shown = sys.stderr.isatty()
    found = measure(seconds, _show if shown else _say_nothing)
    if shown:
        sys.stderr.write("\r\x1b[K")
    document = found.model_dump(mode="json")
    sys.stdout.write(json.dumps(document, indent=2) + "\n" if as_json else calibration_text(document))
    if found.rate_trusted is None or found.concurrency_trusted is None:
        raise typer.Exit(3)


def _show(load: str) -> None:
    sys.stderr.write(f"\r\x1b[Ktrying {load}")
    sys.stderr.flush()


def _say_nothing(_load: str) -> None:
    """Not a terminal: the table at the end is all there is to say."""
