"""Reads `/metrics` of the server before, while and after a stage runs, in a thread of its own.

The load's thread must not wait for it: while the load runs a reading only picks the lines that matter (measured: 0.8 ms
for the 97 kB of TGI, once a second); they are understood when the stage is over. Every reading has a connection of its
own, because servers with a thread per connection would lack it for the load.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from perbench.failures import shorten
from perbench_bench.engine.http1 import HttpError, Origin, get_bytes
from perbench_bench.fetch import fetch, tls_of
from perbench_bench.server_metrics import ServerReading, reading_of, same_counts, together, wanted_lines

PATH = "/metrics"
EVERY_SECONDS = 1.0
TIMEOUT_SECONDS = 2.0
SETTLE_SECONDS = 2.0
"""How long at most until the server has nothing left to do and its counters stand still."""
SETTLE_STEP_SECONDS = 0.1


class NoMetricsError(Exception):
    """The server's metrics cannot be read; says why."""


class MetricsWatch:
    """The readings of one stage. `begin` and `end` block for up to a few seconds: not for an event loop's thread."""

    def __init__(self, origin: Origin, addresses: Sequence[str], api_key: str | None, clock: Callable[[], int]) -> None:
        self._origin = origin
        self._addresses = tuple(addresses)
        self._request = get_bytes(origin, PATH, api_key)
        self._tls = tls_of(origin)
        self._clock = clock
        self._lines: list[tuple[int, tuple[bytes, ...]]] = []
        self._before: tuple[bytes, ...] = ()
        self._latest: tuple[bytes, ...] = ()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> ServerReading:
        """The reading before the load; then one a second until `stop`. Raises NoMetricsError: nothing more is read."""
        reading = self._settled()
        self._before = self._latest
        self._thread = threading.Thread(target=self._watch, name="server-metrics", daemon=True)
        self._thread.start()
        return reading

    def stop(self) -> None:
        """No more readings. Does not wait for one under way."""
        self._over.set()

    def end(self) -> ServerReading:
        """The reading after the load. Raises NoMetricsError."""
        self.stop()
        if self._thread:
            self._thread.join()
        return self._settled()

    def within(self, start: int, end: int) -> list[ServerReading]:
        """The readings that were asked for between two stamps of the clock, after `end`. Raises NoMetricsError."""
        return [_understood(lines) for stamp, lines in self._lines if start <= stamp <= end]

    @property
    def before(self) -> tuple[bytes, ...]:
        """The lines that matter of each address, as they were before the load. Empty: they could not be read."""
        return self._before

    def lines(self, skip: int = 0) -> list[tuple[int, tuple[bytes, ...]]]:
        """The same of every reading since then, with its stamp; without the first ones. For any thread."""
        return self._lines[skip:]

    def _watch(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            stamp = self._clock()
            with contextlib.suppress(NoMetricsError):  # a busy server may miss one: the others tell enough
                self._lines.append((stamp, self._picked()))
            due = max(due + EVERY_SECONDS, time.monotonic())

    def _settled(self) -> ServerReading:
        """A reading of a server that has nothing left to do, as far as it comes to that within two seconds."""
        latest = time.monotonic() + SETTLE_SECONDS
        self._latest = self._picked()
        reading = _understood(self._latest)
        while time.monotonic() < latest:
            time.sleep(SETTLE_STEP_SECONDS)
            self._latest = self._picked()
            before, reading = reading, _understood(self._latest)
            if same_counts(before, reading) and not reading.running and not reading.waiting:
                break
        return reading

    def _picked(self) -> tuple[bytes, ...]:
        """The lines that matter, of each address."""
        return tuple(self._lines_of(address) for address in self._addresses)

    def _lines_of(self, address: str) -> bytes:
        try:
            status, body = fetch(self._origin, address, self._request, TIMEOUT_SECONDS, self._tls)
        except (OSError, HttpError) as error:  # TimeoutError and TLS errors are among them
            detail = str(error) or type(error).__name__
            raise NoMetricsError(shorten(f"GET {PATH} got no answer: {detail}")) from error
        if status != 200:
            raise NoMetricsError(f"GET {PATH} was answered with HTTP {status}")
        lines = wanted_lines(body)
        if lines is None:
            raise NoMetricsError(f"GET {PATH} shows no figures of a model server that is known")
        return lines


def _understood(lines: Sequence[bytes]) -> ServerReading:
    try:
        return together(reading_of(one) for one in lines)
    except ValueError as error:
        raise NoMetricsError(shorten(f"GET {PATH} is not in the exposition format: {error}")) from error
