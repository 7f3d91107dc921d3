"""Which loads are tried, one heavier than the other, and what their outcome means. Pure."""

from collections.abc import Sequence
from math import sqrt

from pydantic import Field

from perbench.base import Document
from perbench.results import CalibrationRecord

RATES = (25.0, 50.0, 100.0, 200.0, 400.0, 800.0, 1600.0)
"""Requests per second that are tried, until one is too many."""
CONCURRENCIES = (4.0, 16.0, 64.0, 128.0, 256.0, 512.0)
"""Requests in flight that are tried."""
SHORT_OF = 10.0
"""Seconds below which only every other load is tried."""
TRIES = 2
"""A load that fails is tried once more: a neighbour's moment is not the machine's limit."""


class Reference(Document):
    """The answers that were asked for."""

    ttft_ms: float
    """Time to first token, milliseconds."""
    itl_ms: float
    """Between tokens, milliseconds."""
    tokens: int
    """Of each answer."""

    @property
    def seconds(self) -> float:
        """How long an answer takes."""
        return (self.ttft_ms + self.itl_ms * (self.tokens - 1)) / 1e3


class Step(Document):
    """One load that was tried: what was reported less what was true."""

    asked: float
    """Requests per second, or requests in flight."""
    trusted: bool
    """Whether the verdict passed it and no figure was off by more than 1 ms or 5 %."""
    ttft_error_ms: float
    """Of the mean time to first token, from the send."""
    itl_error_ms: float
    """Of the mean time between tokens."""
    rate_error_percent: float
    """Of the request rate."""
    concurrency_error_percent: float
    """Of the requests in flight: of those asked for (closed loop), or of their mean (open loop)."""
    client_error_ms: float | None
    """What the engine itself says it added to the median request."""
    reasons: tuple[str, ...] = ()
    """What the verdict, or the record of the server, had against it."""
    advice: str = ""
    """What the verdict advised."""


class Calibration(Document):
    """What came of it."""

    reference: Reference
    rate_trusted: float | None
    """Requests per second up to which every load was trusted. None: not even the first."""
    concurrency_trusted: float | None
    """Requests in flight up to which every load was trusted."""
    rates: tuple[Step, ...]
    """Open loop (Poisson), in the order tried."""
    concurrencies: tuple[Step, ...]
    """Closed loop, in the order tried."""
    seconds: float = Field(ge=0)
    """How long it took."""
    advice: str

    def record(self) -> CalibrationRecord:
        """What of it stands in the results of a launch."""
        trusted = [step for step in (*self.rates, *self.concurrencies) if step.trusted]
        return CalibrationRecord(
            ttft_error_ms=max((abs(step.ttft_error_ms) for step in trusted), default=None),
            itl_error_ms=max((abs(step.itl_error_ms) for step in trusted), default=None),
            rate_trusted=self.rate_trusted,
            concurrency_trusted=self.concurrency_trusted,
            advice=self.advice,
        )


def following(ladder: Sequence[float], tried: Sequence[Step]) -> float | None:
    """The load to try next; None: the limit is known, or there is no heavier one.

    Up the ladder while loads are trusted; one that is not is tried again; after that once between it and the last that
    was.
    """
    failed = [load.asked for load in tried if not load.trusted]
    passed = [load.asked for load in tried if load.trusted]
    beaten = {asked for asked in failed if failed.count(asked) >= TRIES and asked not in passed}
    if beaten:
        between = _between(max(passed, default=0.0), min(beaten))
        known = {load.asked for load in tried}
        return between if between and between not in known and min(beaten) in ladder else None
    if tried and not tried[-1].trusted:
        return tried[-1].asked
    return next((asked for asked in ladder if asked > max(passed, default=0.0)), None)


def trusted_up_to(steps: Sequence[Step]) -> float | None:
    """The heaviest load below which none failed for good; None: not even the lightest."""
    passed = {step.asked for step in steps if step.trusted}
    failed = {step.asked for step in steps if not step.trusted} - passed
    limit = min(failed, default=float("inf"))
    return max((asked for asked in passed if asked < limit), default=None)


def is_owed(tried: Sequence[Step], time_left: float) -> bool:
    """Whether a load that takes longer than its ladder's share of the time is tried all the same.

    The lightest is tried at least once, and once more while there is any time at all (seconds): else nothing is known.
    """
    if not tried:
        return True
    return time_left > 0 and len(tried) == 1 and not tried[0].trusted


def ladder_for(ladder: Sequence[float], seconds: float) -> tuple[float, ...]:
    """As much of a ladder as so much time allows, the lightest load first: there is nothing to step down to below."""
    return tuple(ladder) if seconds >= SHORT_OF else tuple(ladder[::2])


def advice_for(rates: Sequence[Step], concurrencies: Sequence[Step]) -> str:
    """One sentence on what to do with it."""
    rate, concurrency = trusted_up_to(rates), trusted_up_to(concurrencies)
    if rate is None or concurrency is None:
        return _limits_apart(rates, concurrencies)
    told = next((step.advice for step in (*rates, *concurrencies) if not step.trusted and step.advice), "")
    beyond = f"; beyond that: {told}" if told else ""
    return (
        f"loads of up to {rate:g} requests/s and {concurrency:g} in flight can be measured here, against answers like"
        f" these and a server that shares this machine{beyond}"
    )


def _limits_apart(rates: Sequence[Step], concurrencies: Sequence[Step]) -> str:
    """What can be said of either loop where one has no limit or both have none."""
    steps = [loop for loop in (rates, concurrencies) if trusted_up_to(loop) is None]
    tried = [load for loop in steps for load in loop]
    told = next((step.advice for step in tried if step.advice), "stop what else runs on this machine")
    if rates and concurrencies and len(steps) == 2:
        least = f"{_lightest(rates, 'requests/s')} or {_lightest(concurrencies, 'in flight')}"
        return f"this machine cannot be trusted with any load now, not even {least}: {told}"
    open_loop, closed_loop = _limit(rates, "requests/s"), _limit(concurrencies, "in flight")
    return f"in an open loop {open_loop}; in a closed loop {closed_loop}: {told if tried else 'give it more time'}"


def _limit(steps: Sequence[Step], unit: str) -> str:
    trusted = trusted_up_to(steps)
    if trusted is not None:
        return f"up to {trusted:g} {unit} can be measured here"
    if not steps:
        return "nothing was tried in the time there was"
    return f"not even {_lightest(steps, unit)} can be measured here now"


def _lightest(steps: Sequence[Step], unit: str) -> str:
    times = "once" if len(steps) == 1 else f"{len(steps)} times"
    return f"{steps[0].asked:g} {unit} (tried {times})"


def _between(low: float, high: float) -> float | None:
    """A round number in the middle, by ratio; None where there is none worth trying."""
    if not low or high / low < 1.5:
        return None
    middle = sqrt(low * high)
    step = 10.0 if middle >= 100 else 1.0
    return round(middle / step) * step
