"""What a target or its network kept from the load, and whose affair it is (measurement.md §4). Pure."""

from collections.abc import Iterator

from perbench.plan import LoadPlan
from perbench.results import ClientRecord, Finding
from perbench_bench.engine.observations import Observations, WindowSums

IN_FLIGHT = "requests really in flight, mean over the window"


def delivered(window: WindowSums, concurrency: int, wait_ms: float) -> float | None:
    """C · (1 - lost / cycle) over the window: what was really in flight.

    The client's own count cannot show the loss, because it stamps the end late. Connecting counts as lost, and so does
    a rest after a failure: the server holds no request of that slot meanwhile. `wait_ms`: mean wait for a core.
    """
    ours, others = _ours_ns(window, wait_ms), window.connecting_ns + window.resting_ns
    return concurrency * max(0.0, 1 - (ours + others) / window.cycle_ns) if window.cycle_ns else None


def kept_up_by_us(window: WindowSums, concurrency: int, wait_ms: float) -> float | None:
    """What would have been in flight, had only the client's own part been lost: by this it is judged.

    Of the time in which slots did not rest: however many requests fail, what it lost of the others is as much.
    """
    busy = window.cycle_ns - window.resting_ns
    return concurrency * max(0.0, 1 - _ours_ns(window, wait_ms) / busy) if busy > 0 else None


def judge_delivery(seen: Observations, record: ClientRecord, load: LoadPlan) -> Iterator[Finding]:
    """ConcurrencyMissed: less in flight than was asked for, and not by us. Valid all the same: so it is for everybody
    who asks this server over this network."""
    if load.concurrency is None or record.concurrency_delivered is None:
        return
    window, least = seen.window, load.concurrency * load.validity.concurrency_percent / 100
    ours = kept_up_by_us(window, load.concurrency, record.run_queue_wait_ms or 0.0)
    if record.concurrency_delivered >= least or (ours is not None and ours < least):
        return
    connecting = window.connecting_ns >= window.resting_ns
    yield Finding(
        code="ConcurrencyMissed", invalidates=False, measured=record.concurrency_delivered, threshold=least,
        unit="requests", rule=f"{IN_FLIGHT}: {CONNECTING if connecting else RESTING}",
        advice=CONNECTING_ADVICE if connecting else RESTING_ADVICE,
    )  # fmt: skip


def judge_connections(seen: Observations, load: LoadPlan) -> Iterator[Finding]:
    """KeepAliveBroken: more requests were sent again than may fail. Nobody can tell a connection that was closed while
    it was idle from a request that was dropped at once, so it may be failures that they hide."""
    retries, allowed = seen.window.retries, seen.window.cycles * load.validity.error_percent / 100
    if retries > max(allowed, 1):
        yield Finding(
            code="KeepAliveBroken", invalidates=False, measured=float(retries), threshold=allowed, unit="requests",
            rule="requests of the window that were sent again because a kept connection was found dead",
            advice="raise the time and the number of requests for which the server, or a proxy before it, keeps"
            " connections; look into its log, since it may be that it drops requests",
        )  # fmt: skip


CONNECTING = "connections had to be made"
CONNECTING_ADVICE = (
    "have the server keep its connections open between requests (HTTP keep-alive), or measure from nearer to it"
)
RESTING = "slots rested after failed requests"
RESTING_ADVICE = "look at the failures first: a slot rests after one, and the server had less to do than was asked for"


def _ours_ns(window: WindowSums, wait_ms: float) -> float:
    return window.lost_ns + window.cycles * wait_ms * 1e6
