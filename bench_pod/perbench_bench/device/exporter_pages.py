"""What dcgm-exporter shows on the nodes of a model's pods, read in a thread of its own while the load runs.

The load's thread must not wait for it: of a page the lines that matter are picked, only their values are parsed anew,
and only the numbers of the pods' own accelerators are kept. What they come to is worked out when the stage is over.
"""

import threading
import time
from array import array
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from perbench.failures import shorten
from perbench.plan import Telemetry, TelemetryPod
from perbench_bench.device.accelerator_use import AcceleratorUse, Look, of_all, use_of_pod
from perbench_bench.device.dcgm import Device, LineReader, NoFiguresError, PodName, SharedError, values_of, wanted_lines
from perbench_bench.engine.http1 import HttpError, Origin, get_bytes
from perbench_bench.fetch import fetch
from perbench_bench.server_metrics import Samples

PATH = "/metrics"
EVERY_SECONDS = 1.0
"""An exporter that collects as often as it is advised to does so once a second."""
PACE = 10
"""At most one part in so many of a thread's time is spent on pages: with many nodes looks are rarer."""
TIMEOUT_SECONDS = 2.0
"""For one page."""
LOOK_SECONDS = 3.0
"""For all pages of one look; those that are not there by then are missed."""
AT_ONCE = 16
"""Exporters that are asked at the same time."""
LARGEST_PAGE = 8 * 1024 * 1024
"""Bytes; that of eight accelerators has 60,000."""


class NoPageError(Exception):
    """A page cannot be read; says why."""


@dataclass(slots=True)
class _Shown:
    """The figures of one pod's accelerators at one look, small enough to be kept by the thousand."""

    seconds: float
    keys: tuple[tuple[Device, str], ...]
    figures: "array[float]"

    def is_like(self, other: "_Shown") -> bool:
        return self.figures == other.figures and self.keys == other.keys


@dataclass(slots=True)
class _Seen:
    """What was seen of one pod since `start`."""

    looks: list[_Shown] = field(default_factory=list)
    """Of looks that showed the same the first and the last."""
    shared: list[tuple[float, str]] = field(default_factory=list)
    """When others had its accelerators, in seconds, and who."""
    nothing: str | None = None
    """Why the latest look without figures had none."""

    def take(self, seconds: float, samples: Samples, pod: PodName) -> None:
        try:
            values = values_of(samples, pod)
        except SharedError as error:
            self.shared.append((seconds, str(error)))
        except NoFiguresError as error:  # it was not mapped yet, or not any more
            self.nothing = str(error)
        else:
            self._keep(_Shown(seconds, tuple(values), array("d", values.values())))

    def _keep(self, shown: _Shown) -> None:
        looks = self.looks
        if looks and looks[-1].keys == shown.keys:
            shown.keys = looks[-1].keys
        if len(looks) > 1 and looks[-2].is_like(shown) and looks[-1].is_like(shown):
            looks.pop()
        looks.append(shown)


class _Exporter:
    """One of them: asked in any thread, understood in that which looks."""

    def __init__(self, address: str, port: int, clock: Callable[[], int]) -> None:
        self._origin = Origin(address, port, tls=False, base_path="")
        self._address = address
        self._clock = clock
        self._reader = LineReader()
        self._lines: bytes | None = None
        self._samples: Samples = {}
        self.where = f"{self._origin.authority}{PATH}"

    def ask(self) -> tuple[float, bytes]:
        """When it was asked, in seconds of the clock, and the lines that matter. Raises NoPageError."""
        seconds = self._clock() / 1e9
        try:
            status, body = fetch(self._origin, self._address, get_bytes(self._origin, PATH), TIMEOUT_SECONDS)
        except (OSError, HttpError) as error:
            said = str(error) or type(error).__name__
            raise NoPageError(shorten(f"{self.where} does not answer: {said}", 200)) from error
        if status != 200 or len(body) > LARGEST_PAGE:
            what = f"HTTP {status}" if status != 200 else f"more than {LARGEST_PAGE} bytes"
            raise NoPageError(f"{self.where} answers with {what}")
        return seconds, wanted_lines(body)

    def understood(self, lines: bytes) -> Samples:
        """Raises NoPageError."""
        if lines != self._lines:
            try:
                self._samples = self._reader.samples(lines)
            except (ValueError, IndexError) as error:
                raise NoPageError(shorten(f"{PATH} is not in the exposition format: {error}", 200)) from error
            self._lines = lines
        return self._samples


class ExporterPages:
    """Asks the exporters of all nodes at once. `start` blocks for `LOOK_SECONDS` at most, and `stop` for twice that."""

    name = "dcgm-exporter on its node"

    def __init__(self, telemetry: Telemetry, accelerators: int, clock: Callable[[], int]) -> None:
        self._pods = telemetry.pods
        self._namespace = telemetry.namespace
        self._accelerators = accelerators
        addresses = {pod.exporter for pod in self._pods if pod.exporter}
        self._exporters = {
            address: _Exporter(address, telemetry.exporter_port or 0, clock) for address in sorted(addresses)
        }
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: dict[str, _Seen] = {}
        self._troubles: dict[str, str] = {}

    def start(self) -> None:
        """Look at once, then once a second in a thread, until `stop`."""
        self._end()
        self._seen, self._troubles = {pod.name: _Seen() for pod in self._pods}, {}
        self._over = threading.Event()
        self._look()
        self._thread = threading.Thread(target=self._watch, args=(self._over,), name="dcgm-exporter", daemon=True)
        self._thread.start()

    def stop(self, window: tuple[int, int]) -> AcceleratorUse:
        """Look a last time; what was seen between two stamps of the clock."""
        self._end()
        self._look()
        start, end = window
        return of_all({pod.name: self._use(pod, (start / 1e9, end / 1e9)) for pod in self._pods})

    def _end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()  # a look ends in time
            self._thread = None

    def _watch(self, over: threading.Event) -> None:
        pause = EVERY_SECONDS
        while not over.wait(pause):
            began, worked = time.monotonic(), time.thread_time()
            self._look()
            pause = max(EVERY_SECONDS - (time.monotonic() - began), PACE * (time.thread_time() - worked), 0.0)

    def _look(self) -> None:
        if not self._exporters:
            return
        pool = ThreadPoolExecutor(min(AT_ONCE, len(self._exporters)), "dcgm-exporter-page")
        asked = {address: pool.submit(exporter.ask) for address, exporter in self._exporters.items()}
        wait(asked.values(), LOOK_SECONDS)
        pool.shutdown(wait=False, cancel_futures=True)
        for address, future in asked.items():
            try:
                self._take(address, future)
            except NoPageError as error:  # one that is missed is no loss: the others tell enough
                self._troubles[address] = str(error)

    def _take(self, address: str, future: Future[tuple[float, bytes]]) -> None:
        """Raises NoPageError."""
        exporter = self._exporters[address]
        if not future.done() or future.cancelled():
            raise NoPageError(f"{exporter.where} has not answered within {LOOK_SECONDS:g} s")
        seconds, lines = future.result()
        samples = exporter.understood(lines)
        for pod in self._pods:
            if pod.exporter == address:
                self._seen[pod.name].take(seconds, samples, PodName(self._namespace, pod.name))

    def _use(self, pod: TelemetryPod, window: tuple[float, float]) -> AcceleratorUse:
        if pod.exporter is None:
            return AcceleratorUse.nothing(pod.exporter_reason or "no exporter is known on its node")
        seen = self._seen[pod.name]
        shared = next((who for seconds, who in seen.shared if seconds >= window[0]), None)
        if shared is not None:  # if only for a moment: what was measured is not all its own
            return AcceleratorUse.nothing(shared, refused=True)
        if not seen.looks:
            return AcceleratorUse.nothing(
                seen.nothing or self._troubles.get(pod.exporter, "its exporter was not asked")
            )
        looks = [Look(each.seconds, dict(zip(each.keys, each.figures, strict=True))) for each in seen.looks]
        return use_of_pod(looks, window, self._accelerators)
