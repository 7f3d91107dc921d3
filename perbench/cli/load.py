"""`perbench load`: the load engine alone, against a server that already runs."""

import json
import math
import os
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from perbench.plan import ArrivalPlan
    from perbench.progress import Progress

API_KEY = "PERBENCH_API_KEY"


LONGEST_SECONDS = 86_400.0
"""A load ends after a day, whatever it was asked for."""


class ProtocolFlag(StrEnum):
    """Spelling of the protocols on the command line."""

    OPENAI_CHAT = "openai-chat"
    OPENAI = "openai"
    TGI = "tgi"


class ArrivalFlag(StrEnum):
    """How the gaps between requests of an open loop are spread."""

    POISSON = "Poisson"
    CONSTANT = "Constant"
    GAMMA = "Gamma"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="load", help="Load a server that already runs and print what it did.")(load)


def load(
    url: str = typer.Option(..., help="Where the server answers, without the route: http://HOST:PORT"),
    protocol: ProtocolFlag = typer.Option(..., help="How it is spoken to."),
    model: str = typer.Option(..., help="The name by which the server knows the model."),
    concurrency: int | None = typer.Option(None, min=1, max=4096, help="Closed loop: requests in flight."),
    rate: float | None = typer.Option(None, help="Open loop: requests per second."),
    arrival: ArrivalFlag | None = typer.Option(None, help="Gaps of an open loop. Default Poisson."),
    burstiness: float | None = typer.Option(None, help="Shape of Gamma: 1 is Poisson, less is burstier. Default 0.5."),
    max_in_flight: int | None = typer.Option(None, min=1, max=65_536, help="Open loop: requests under way at most."),
    seed: int = typer.Option(42, min=0, max=2**31, help="Of prompts and arrivals."),
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
    from perbench.plan import LoadPlan, Target, Warmup

    try:
        from perbench_bench.load import LoadRequest, run_load
    except ImportError as error:
        raise UsageError(f"the load engine is not installed ({error}): pip install 'perbench[bench]'") from error
    _check(model, duration, requests, concurrency)
    arrivals = _arrivals(concurrency, rate, arrival, burstiness, max_in_flight)
    protocols = {
        ProtocolFlag.OPENAI_CHAT: Protocol.OPENAI_CHAT,
        ProtocolFlag.OPENAI: Protocol.OPENAI,
        ProtocolFlag.TGI: Protocol.TGI,
    }
    key = API_KEY if os.environ.get(API_KEY) else None
    target = Target(url=url, protocol=protocols[protocol], model=model, api_key_variable=key)
    before = Warmup(requests=warmup, seconds=0)
    plan = LoadPlan(concurrency=concurrency, arrivals=arrivals, warmup=before, max_seconds=LONGEST_SECONDS)
    request = LoadRequest(target, plan, requests, input_tokens, output_tokens, seed, duration)
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


def _check(model: str, duration: float | None, requests: int, concurrency: int | None) -> None:
    """Raises UsageError for what the options' own limits cannot say."""
    from perbench.api.defaults import least_items
    from perbench.failures import UsageError

    if not model.strip():
        raise UsageError("--model is empty: give the name by which the server knows the model")
    if duration is not None and not math.isfinite(duration):
        raise UsageError(f"--duration {duration}: give a number of seconds, or leave it out for no limit")
    least = least_items(concurrency)
    if requests < least:
        raise UsageError(
            f"--requests {requests}: at least {least} are needed in an open loop, or not even a median is given"
            if concurrency is None
            else f"--requests {requests}: at least four times --concurrency ({least}) are needed, or the "
            "figures are those of a loop filling and draining"
        )


def _arrivals(
    concurrency: int | None,
    rate: float | None,
    arrival: ArrivalFlag | None,
    burstiness: float | None,
    max_in_flight: int | None,
) -> "ArrivalPlan | None":
    """The arrivals of an open loop; None: a closed one. Raises UsageError for options that do not go together."""
    from perbench.api.defaults import ARRIVAL, BURSTINESS, MAX_IN_FLIGHT
    from perbench.api.load import MAX_RATE, Arrival
    from perbench.failures import UsageError
    from perbench.plan import ArrivalPlan

    if (concurrency is None) == (rate is None):
        raise UsageError("give either --concurrency N (closed loop) or --rate R (open loop)")
    process = Arrival(arrival.value) if arrival else ARRIVAL
    if rate is None:
        for flag, value in (("--arrival", arrival), ("--burstiness", burstiness), ("--max-in-flight", max_in_flight)):
            if value is not None:
                raise UsageError(f"{flag} is of an open loop: give --rate R in place of --concurrency")
        return None
    if not 0 < rate <= MAX_RATE:
        raise UsageError(f"--rate {rate:g}: give requests per second, above 0 and up to {MAX_RATE}")
    if burstiness is not None and process is not Arrival.GAMMA:
        raise UsageError("--burstiness is of --arrival Gamma: give that too, or leave it out")
    if burstiness is not None and not 0 < burstiness < math.inf:
        raise UsageError(f"--burstiness {burstiness:g}: give a number above 0 (1 is Poisson, less is burstier)")
    shape = (burstiness or float(BURSTINESS)) if process is Arrival.GAMMA else 1.0
    return ArrivalPlan(rate=rate, process=process, burstiness=shape, max_in_flight=max_in_flight or MAX_IN_FLIGHT)


def _show(progress: "Progress") -> None:
    sys.stderr.write(f"\r\x1b[K{progress.phase}: {progress.completed} of {progress.total} requests")
    sys.stderr.flush()


def _say_nothing(_progress: "Progress") -> None:
    """Not a terminal: the figures at the end are all there is to say."""
