"""Loads against a truth server on this machine, one heavier than the other, within a given time."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import uvloop

from perbench.api.load import Arrival
from perbench.api.models import Protocol
from perbench.plan import ArrivalPlan, LoadPlan, Target
from perbench_bench.calibration.ladder import (
    CONCURRENCIES,
    RATES,
    Calibration,
    Reference,
    Step,
    advice_for,
    following,
    is_owed,
    ladder_for,
    trusted_up_to,
)
from perbench_bench.engine.feed import Limits
from perbench_bench.engine.verdict import ClientUse, client_record, judge_client
from perbench_bench.load_run import LoadRun, carry_out, prepare
from perbench_bench.session import Session, open_session
from perbench_bench.truth import Record, Script, TruthProcess, truth_server
from perbench_bench.truth.delay import constant, spread_around
from perbench_bench.truth.judge import Error, errors, severity
from perbench_bench.truth.script import Timing
from perbench_bench.usage import make_room_for

REFERENCE = Reference(ttft_ms=50.0, itl_ms=10.0, tokens=8)
"""Answers of a fast server: what is added to them would show."""
SHARE_OF_STEP = 0.03
"""Of the whole time, for the window of one load."""
LEAST_WINDOW_SECONDS = 0.25
SPARE_SECONDS = 0.6
"""Of one load, beside its window: warm-up and the last answers."""
LEAST_REQUESTS = 20
"""Of one load, however light."""
CLOSING_SECONDS = 1.0
"""Left at the end, for the server's record."""

Say = Callable[[str], None]


def calibrate(seconds: float, say: Say) -> Calibration:
    """Try loads for so many seconds at most; `say` is told which. Raises RunError: the server did not start."""
    began = time.monotonic()
    script = Script(timing=Timing(first_ms=spread_around(REFERENCE.ttft_ms), gap_ms=constant(REFERENCE.itl_ms)))
    with truth_server(script, max_seconds=seconds + 60) as server:
        until = began + seconds - CLOSING_SECONDS
        by_rate, by_concurrency = uvloop.run(_measure(server, seconds, until, say))
    return Calibration(
        reference=REFERENCE,
        rate_trusted=trusted_up_to(by_rate),
        concurrency_trusted=trusted_up_to(by_concurrency),
        rates=tuple(by_rate),
        concurrencies=tuple(by_concurrency),
        seconds=time.monotonic() - began,
        advice=advice_for(by_rate, by_concurrency),
    )


async def _measure(server: TruthProcess, seconds: float, until: float, say: Say) -> tuple[list[Step], list[Step]]:
    """Both ladders; the first may take half of the time."""
    make_room_for(2 * round(max(CONCURRENCIES)), least=1)
    target = Target(url=server.url, protocol=Protocol.TGI, model="truth")
    session = await open_session(target, LoadPlan(concurrency=1, max_seconds=seconds), seed=1)
    window = max(LEAST_WINDOW_SECONDS, seconds * SHARE_OF_STEP)
    half = time.monotonic() + (until - time.monotonic()) / 2
    bench = Bench(session, server, window, say, until)
    rates = await bench.climb(ladder_for(RATES, seconds), _open_load, "requests/s", half)
    concurrencies = await bench.climb(ladder_for(CONCURRENCIES, seconds), _closed_load, "in flight", until)
    return rates, concurrencies


@dataclass(frozen=True, slots=True)
class Bench:
    """What loads are tried with."""

    session: Session
    server: TruthProcess
    window: float
    """Seconds of one load."""
    say: Say
    until: float
    """When all ladders are to be done."""

    async def climb(
        self, ladder: Sequence[float], load_of: Callable[[float], LoadPlan], unit: str, until: float
    ) -> list[Step]:
        """Up one ladder, as far as loads can be trusted and time allows."""
        done: list[Step] = []
        while (asked := following(ladder, done)) is not None:
            load = load_of(asked)
            window = self._requests(asked, load) / _per_second(asked, load)
            now = time.monotonic()
            if now + window + SPARE_SECONDS > until and not is_owed(done, self.until - now):
                break
            self.say(f"{asked:g} {unit}")
            done.append(await self._try(asked, load))
        return done

    def _requests(self, asked: float, load: LoadPlan) -> int:
        """Measured ones of a load: those of the window, and enough for a figure."""
        least = 0 if load.concurrency is None else 4 * load.concurrency
        return max(round(_per_second(asked, load) * self.window), least, LEAST_REQUESTS)

    async def _try(self, asked: float, load: LoadPlan) -> Step:
        """One load of about as many seconds as the window."""
        count = self._requests(asked, load)
        session = replace(self.session, load=load)
        request = session.request("calibrate", REFERENCE.tokens)
        warmup = max(4, round(_per_second(asked, load) * REFERENCE.seconds))
        run = prepare(session, lambda _: request, Limits(warmup, 0.0, count), seed=round(asked))
        use = await asyncio.wait_for(carry_out(session, run), timeout=60)
        return _step(asked, load, run, use, self.server.snapshot())


def _per_second(asked: float, load: LoadPlan) -> float:
    """Requests that end in a second, where nothing is late."""
    return asked if load.arrivals else asked / REFERENCE.seconds


def _open_load(rate: float) -> LoadPlan:
    return LoadPlan(arrivals=ArrivalPlan(rate=rate, process=Arrival.POISSON), max_seconds=60)


def _closed_load(concurrency: float) -> LoadPlan:
    return LoadPlan(concurrency=round(concurrency), max_seconds=60)


def _step(asked: float, load: LoadPlan, run: LoadRun, use: ClientUse, record: Record) -> Step:
    """A load with the server's record beside the engine's own verdict."""
    client = client_record(run.seen, load, run.feed, use)
    findings = list(judge_client(run.seen, client, load, use))
    found = errors(run.seen, run.feed, record, load.concurrency)
    by_name = {error.figure: error for error in found}
    spoiled = tuple(f"{error.figure} off by {error.amount:.3g}" for error in found if error.severity > 1)
    return Step(
        asked=asked,
        trusted=not findings and severity(found) <= 1,
        ttft_error_ms=_amount(by_name, "ttft_sent_mean"),
        itl_error_ms=_amount(by_name, "itl_mean"),
        rate_error_percent=_percent(by_name["request_rate"]),
        concurrency_error_percent=_percent(by_name["concurrency"]),
        client_error_ms=client.error_p50_ms,
        reasons=(*(finding.rule for finding in findings), *spoiled),
        advice=findings[0].advice if findings else "",
    )


def _amount(by_name: dict[str, Error], figure: str) -> float:
    return by_name[figure].amount if figure in by_name else 0.0


def _percent(error: Error) -> float:
    return 100 * error.amount / error.true if error.true else 0.0
