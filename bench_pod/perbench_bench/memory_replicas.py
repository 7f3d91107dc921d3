"""Memory and processor time of a model's replicas, asked of the reader (`perbench-memory`) in each of their pods.

Memory is per server: of several replicas that of the largest, so that it compares with a model that has one. Processor
time is that of all of them, because the tokens are.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import ValidationError

from perbench.failures import shorten
from perbench.resources import MemoryQuality, MemoryRecord, ResourceUse
from perbench_bench.cpu_series import Ages, unknown_use
from perbench_bench.engine.http1 import HttpError, Origin, get_bytes, request_bytes
from perbench_bench.fetch import fetch
from perbench_bench.memory import without_figures
from perbench_bench.memory_now import JSON, TAKEN_JSON, MemoryNow, Taken, of_all, peaks_of
from perbench_bench.memory_sidecar import NOW_PATH, PATH, window_path

TIMEOUT_SECONDS = 5.0
ASK_EVERY_SECONDS = 1.0
"""Between two questions for what is known now, whoever wants to know it."""
NOW_SECONDS = 0.5
"""How long one waits for the answer; it is kept when it comes later."""
SOURCE = "perbench-memory beside the server"
SHIFT_SHARE, SHIFT_SECONDS = 0.02, 0.05
"""By how much the window may be off for the way of the question: this share of it; of a short one, these seconds."""


@dataclass(frozen=True, slots=True)
class Unread:
    """Why a replica gave no figures."""

    reason: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a replica answered."""

    body: bytes
    seconds: float
    """From making the question to the last byte of the answer."""


class SidecarMemory:
    """Asks every replica. `start` and `stop` block for up to a few seconds: not for the load's event loop."""

    def __init__(self, addresses: Sequence[str], port: int) -> None:
        self._origins = {address: Origin(address, port, tls=False, base_path="") for address in addresses}
        self._not_begun: dict[str, Unread] = {}
        self._lock = threading.Lock()  # of all that follows, never held while somebody is asked
        self._windows = 0
        self._open = False
        self._kept = MemoryNow()
        self._asked = -ASK_EVERY_SECONDS
        self._answered = threading.Event()
        self._answered.set()

    def start(self) -> None:
        """Begin a window at each of them. What does not answer is remembered for `stop`."""
        said = self._ask_all(lambda origin: request_bytes(origin, PATH, b""))
        self._not_begun = {address: answer for address, answer in said.items() if isinstance(answer, Unread)}
        with self._lock:
            self._windows += 1
            self._open, self._kept, self._asked = True, MemoryNow(), -ASK_EVERY_SECONDS

    def stop(self, measured: Ages | None = None) -> Taken:
        """The figures since `start`. `measured`: the part of it in which the load was measured, as of now."""
        asked = time.monotonic()
        with self._lock:
            self._open = False

        def question(origin: Origin) -> bytes:
            path = window_path(measured.later(time.monotonic() - asked) if measured else None)
            return get_bytes(origin, path)

        said = self._ask_all(question)
        figures = {address: self._not_begun.get(address) or understood(said[address], measured) for address in said}
        taken = of_replicas(figures)
        with self._lock:
            last = taken.now if taken.now.current else self._kept
            self._kept = replace(last, peak=peaks_of(taken.memory))
        return replace(taken, now=self._kept)

    def now(self) -> MemoryNow:
        """What they said last. They are asked anew, in a thread, where that was a second ago.

        Where one of them does not answer, the view stays as it was.
        """
        with self._lock:
            if self._open and self._answered.is_set() and self._asked + ASK_EVERY_SECONDS <= time.monotonic():
                self._asked, self._answered = time.monotonic(), threading.Event()
                threading.Thread(target=self._look, args=(self._windows, self._answered), daemon=True).start()
            answered = self._answered
        answered.wait(NOW_SECONDS)
        with self._lock:
            return self._kept

    def _look(self, window: int, answered: threading.Event) -> None:
        said = self._ask_all(lambda origin: get_bytes(origin, NOW_PATH))
        views = [_view(answer) for answer in said.values()]
        read = [view for view in views if view is not None]
        with self._lock:
            if self._open and window == self._windows and len(read) == len(views):
                self._kept = of_all(read)
        answered.set()

    def _ask_all(self, question: Callable[[Origin], bytes]) -> dict[str, Said | Unread]:
        """All at once: a hundred replicas take no longer than one. Each question is made when it is asked."""
        said: dict[str, Said | Unread] = {}

        def ask(address: str) -> None:
            said[address] = self._ask(address, question)

        threads = [threading.Thread(target=ask, args=(address,), daemon=True) for address in self._origins]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {address: said[address] for address in self._origins}

    def _ask(self, address: str, question: Callable[[Origin], bytes]) -> Said | Unread:
        origin, began = self._origins[address], time.monotonic()
        try:
            status, body = fetch(origin, address, question(origin), TIMEOUT_SECONDS)
        except (OSError, HttpError) as error:
            return Unread(shorten(f"the reader of memory does not answer: {str(error) or type(error).__name__}", 200))
        if status != 200:
            return Unread(f"the reader of memory answers HTTP {status}")
        return Said(body, time.monotonic() - began)


def of_replicas(figures: Mapping[str, Taken | Unread]) -> Taken:
    """All replicas as one. One of which a figure is not known leaves it unknown for all, and why."""
    read = {address: taken for address, taken in figures.items() if isinstance(taken, Taken)}
    if len(read) < len(figures) or not read:
        missing = ((address, one.reason) for address, one in figures.items() if isinstance(one, Unread))
        address, reason = next(missing, ("", "the model has no address"))
        why = f"{address}: {reason}".removeprefix(": ")
        samples = min((taken.memory.samples for taken in read.values()), default=0)
        return Taken(without_figures(why, SOURCE, samples), unknown_use(why, SOURCE))
    return Taken(
        memory=_largest_of({address: taken.memory for address, taken in read.items()}),
        use=_sum_of({address: taken.use or ResourceUse() for address, taken in read.items()}),
        now=of_all(taken.now for taken in read.values()),
    )


def _sum_of(uses: Mapping[str, ResourceUse]) -> ResourceUse:
    """Processor time of all of them."""
    known = [use.cpu_seconds for use in uses.values() if use.cpu_seconds is not None]
    sources = ", ".join(dict.fromkeys(use.cpu_source or "/proc" for use in uses.values()))
    several = f", the sum of {len(uses)} replicas" if len(uses) > 1 else ""
    return ResourceUse(
        cpu_seconds=sum(known) if len(known) == len(uses) else None,
        cpu_source=f"{sources} ({SOURCE}{several})",
        cpu_reason=_first_reason({address: use.cpu_reason for address, use in uses.items()}),
    )


def _largest_of(read: Mapping[str, MemoryRecord]) -> MemoryRecord:
    records = tuple(read.values())
    footprint = _largest([record.footprint_bytes for record in records])
    return MemoryRecord(
        quality=None if footprint is None else MemoryQuality.MEASURED,
        footprint_bytes=footprint,
        reserved_bytes=_largest([record.reserved_bytes for record in records]),
        anonymous_peak_bytes=_largest([record.anonymous_peak_bytes for record in records]),
        file_peak_bytes=_largest([record.file_peak_bytes for record in records]),
        samples=min(record.samples for record in records),
        source=_source(records),
        reason=_first_reason({address: record.reason for address, record in read.items()}),
        reserved_reason=_first_reason({address: record.reserved_reason for address, record in read.items()}),
    )


def _first_reason(reasons: Mapping[str, str | None]) -> str | None:
    return next((f"{address}: {reason}" for address, reason in reasons.items() if reason), None)


def _largest(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def _source(records: Sequence[MemoryRecord]) -> str:
    several = f", the largest of {len(records)} replicas" if len(records) > 1 else ""
    return f"{records[0].source} ({SOURCE}{several})"


def understood(answer: Said | Unread, measured: Ages | None) -> Taken | Unread:
    """What a replica says of its window. Processor time only where the window is where it was meant to be: the ages are
    of the moment of the question, and count there from its arrival."""
    if isinstance(answer, Unread):
        return answer
    try:
        taken = TAKEN_JSON.validate_json(answer.body)
    except ValidationError:
        return Unread("what answers at the port of the reader of memory is something else")
    way = answer.seconds - taken.held
    if measured is None or way <= max(SHIFT_SECONDS, SHIFT_SHARE * (measured.opened - measured.closed)):
        return taken
    why = f"the question for it was {way:.2f} s on its way, and the window is not known well enough"
    return replace(taken, use=unknown_use(why, taken.use.cpu_source or "/proc" if taken.use else "/proc"))


def _view(answer: Said | Unread) -> MemoryNow | None:
    if isinstance(answer, Unread):
        return None
    try:
        return JSON.validate_json(answer.body)
    except ValidationError:
        return None
