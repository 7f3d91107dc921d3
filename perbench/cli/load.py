"""`perbench load`: the load engine alone, against a server that already runs."""

import json
import math
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from perbench.progress import Progress

API_KEY = "PERBENCH_API_KEY"


class ProtocolFlag(StrEnum):
    """Spelling of the protocols on the command line."""

    OPENAI_CHAT = "openai-chat"
    OPENAI = "openai"
    TGI = "tgi"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="load", help="Load a server that already runs and print what it did.")(load)


def load(
    url: str = typer.Option(..., help="Where the server answers, without the route: http://HOST:PORT"),
    protocol: ProtocolFlag = typer.Option(..., help="How it is spoken to."),
    model: str = typer.Option(..., help="The name by which the server knows the model."),
    concurrency: int = typer.Option(..., min=1, max=4096, help="Requests in flight."),
    requests: int = typer.Option(..., min=1, max=10_000_000, help="Measured requests."),
    duration: float | None = typer.Option(None, min=0.1, help="Seconds after which nothing measured is sent any more."),
    input_tokens: int = typer.Option(..., min=1, max=1_000_000, help="Tokens of each prompt."),
    output_tokens: int = typer.Option(..., min=1, max=1_000_000, help="Tokens of each answer."),
    warmup: int = typer.Option(0, min=0, max=1_000_000, help="Requests before the measured ones."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Exit 0: valid. 3: the measurement is not valid. 4: the target failed. 2: bad usage."""
    from perbench.api.models import Protocol
    from perbench.cli.load_text import load_text
    from perbench.failures import UsageError
    from perbench.plan import Target

    try:
        from perbench_bench.load import LoadRequest, run_load
    except ImportError as error:
        raise UsageError(f"the load engine is not installed ({error}): pip install 'perbench[bench]'") from error
    _check(model, duration, requests, concurrency)
    protocols = {
        ProtocolFlag.OPENAI_CHAT: Protocol.OPENAI_CHAT,
        ProtocolFlag.OPENAI: Protocol.OPENAI,
        ProtocolFlag.TGI: Protocol.TGI,
    }
    key = API_KEY if os.environ.get(API_KEY) else None
    target = Target(url=url, protocol=protocols[protocol], model=model, api_key_variable=key)
    request = LoadRequest(target, concurrency, requests, input_tokens, output_tokens, warmup, duration)
    try:
        outcome = run_load(request, _show if sys.stderr.isatty() else _say_nothing)
    except KeyboardInterrupt:
        sys.stderr.write("perbench: interrupted; there are figures only at the end of a load\n")
        raise typer.Exit(130) from None
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    sys.stdout.write(json.dumps(outcome.document, indent=2) + "\n" if as_json else load_text(outcome.document))
    if outcome.failure:
        sys.stderr.write(f"perbench: {outcome.failure.reason}: {outcome.failure.message}\n")
    raise typer.Exit(outcome.exit_code)


def _check(model: str, duration: float | None, requests: int, concurrency: int) -> None:
    """Raises UsageError for what the options' own limits cannot say."""
    from perbench.failures import UsageError

    if not model.strip():
        raise UsageError("--model is empty: give the name by which the server knows the model")
    if duration is not None and not math.isfinite(duration):
        raise UsageError(f"--duration {duration}: give a number of seconds, or leave it out for no limit")
    if requests < 4 * concurrency:
        raise UsageError(
            f"--requests {requests}: at least four times --concurrency ({4 * concurrency}) are needed, or the "
            "figures are those of a loop filling and draining"
        )


def _show(progress: "Progress") -> None:
    sys.stderr.write(f"\r\x1b[K{progress.phase}: {progress.completed} of {progress.total} requests")
    sys.stderr.flush()


def _say_nothing(_progress: "Progress") -> None:
    """Not a terminal: the figures at the end are all there is to say."""
