"""The memory of a server's accelerators as a source: what `MetricsWatch` has read anyway, beside what the load was; and
what their exporter says, where it is asked."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from perbench.api.per import MemoryBasis
from perbench.plan import DeviceMemory
from perbench.resources import MemoryOrigin, MemoryRecord
from perbench_bench.device.footprint import ModelFiles, ServerSeen, record_of
from perbench_bench.device.running_tokens import peak_tokens
from perbench_bench.device.runtimes import RuntimeFigures, figures_of
from perbench_bench.device.telemetry import AcceleratorTelemetry, resource_use, with_held
from perbench_bench.load_run import LoadRun
from perbench_bench.memory_now import MemoryNow, Taken, known, peaks_of
from perbench_bench.metrics_watch import MetricsWatch

NOW_SECONDS = 0.25
"""How long `now` may go on with readings that nobody has asked for before; the rest is left for the next time."""
REST_SECONDS = 0.001
"""After each of them: the load, which runs in another thread, is to have the interpreter."""

Reading = tuple[RuntimeFigures, ...]
"""Of every server, at one moment."""


class DeviceReader:
    """Understands readings that others have taken. It asks nobody but `telemetry`; None: nobody at all."""

    def __init__(
        self,
        addresses: Sequence[str],
        known: DeviceMemory,
        files: ModelFiles,
        telemetry: AcceleratorTelemetry | None = None,
    ) -> None:
        self._addresses = tuple(addresses)
        self._known = known
        self._files = files
        self._telemetry = telemetry
        self._lock = threading.Lock()  # of all that follows
        self._metrics: MetricsWatch | None = None
        self._before: Reading | None = None
        self._readings: list[Reading] = []
        self._taken = 0
        self._held: int | None = None
        """What the exporter said of the window that is over."""
        self._ahead = known.preallocates
        """Whether the server holds what it may need, as it has said once: a stage may lack its metrics."""
        self._kind: MemoryOrigin | None = None
        """Of the footprints of this server's stages: the first one's, since those of two kinds have no mean."""

    def start(self, metrics: MetricsWatch) -> None:
        """Open a window: `metrics` has been begun."""
        with self._lock:
            self._metrics = metrics
            self._before = _understood(metrics.before)
            self._readings = []
            self._taken = 0
            self._held = None
        if self._telemetry is not None:
            self._telemetry.start()

    def stop(self, run: LoadRun) -> Taken:
        """The record of the window in which the load was measured, and what the accelerators did in it."""
        window = (run.feed.window_start or 0, run.feed.window_end or 0)
        with self._lock:
            pages = self._metrics.lines() if self._metrics else []
            before = self._before
        inside = [page for stamp, page in pages if window[0] <= stamp <= window[1]]
        readings = [reading for page in inside if (reading := _understood(page))]
        waiting = any(figures.waiting for reading in readings for figures in reading)
        running = peak_tokens(run.seen, window, waiting=waiting)
        servers = self._servers(readings, before, running)
        record = record_of(servers, self._files, self._known)
        if self._telemetry is None:
            return Taken(record, use=None)
        use = self._telemetry.stop(window)
        if self._telemetry.asks:
            self._ahead = self._ahead or any(server.latest.preallocates for server in servers.values())
            record = self._of_one_kind(with_held(record, use, preallocates=self._ahead))
            with self._lock:
                self._held = record.reserved_bytes
        return Taken(record, resource_use(use))

    def _of_one_kind(self, record: MemoryRecord) -> MemoryRecord:
        """Without a footprint that is of another kind than those of the stages before."""
        if record.footprint_bytes is None:
            return record
        self._kind = self._kind or record.origin
        if record.origin is self._kind:
            return record
        reason = f"it would be of another kind ({record.origin.value}) than in the stages before ({self._kind.value})"
        return record.model_copy(update={"footprint_bytes": None, "quality": None, "reason": reason})

    def now(self) -> MemoryNow:
        """What the last reading shows, and the most of those since `start`. What requests hold is not known yet; where
        an exporter is asked, what is held is known when the window is over."""
        latest = time.monotonic() + NOW_SECONDS
        with self._lock:
            pages = self._metrics.lines(self._taken) if self._metrics else []
            for _, page in pages:
                self._taken += 1
                self._take(page)
                if time.monotonic() > latest:
                    break
                time.sleep(REST_SECONDS)
            readings, before, held = list(self._readings), self._before, self._held
        last = (_understood(pages[-1][1]) if pages else None) or (readings[-1] if readings else None)
        if last is None and before is None:
            return self._as_asked(MemoryNow(), held)
        ends = [last] if last else []
        now, every = (
            record_of(self._servers(part, before, {}), self._files, self._known) for part in (ends, readings + ends)
        )
        return self._as_asked(MemoryNow(current=peaks_of(now), peak=peaks_of(every)), held)

    def _as_asked(self, view: MemoryNow, held: int | None) -> MemoryNow:
        """Without what the server itself says it holds, where an exporter is asked: its figures are of another kind."""
        if self._telemetry is None or not self._telemetry.asks:
            return view
        current, peak = ({**figures} for figures in (view.current, view.peak))
        for figures in (current, peak):
            figures.pop(MemoryBasis.RESERVED, None)
        return replace(view, current=current, peak=peak | known({MemoryBasis.RESERVED: held}))

    def _take(self, page: Sequence[bytes]) -> None:
        reading = _understood(page)
        if reading:
            self._readings.append(reading)

    def _servers(
        self, readings: Sequence[Reading], before: Reading | None, running: dict[str, int]
    ) -> dict[str, ServerSeen]:
        first = before or tuple(RuntimeFigures() for _ in self._addresses)
        return {
            address: ServerSeen([reading[i] for reading in readings], first[i], running.get(address))
            for i, address in enumerate(self._addresses)
        }


def _understood(page: Sequence[bytes]) -> Reading | None:
    """None: it could not be read, or is not in the exposition format."""
    try:
        return tuple(figures_of(lines) for lines in page) or None
    except ValueError:
        return None
