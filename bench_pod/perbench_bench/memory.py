"""Memory and processor time of a model's server, read from /proc beside it while a stage runs (measurement.md §8, §10).

The footprint is the peak of the sum of PSS over the server's processes: pages that several of them share count once. A
thread of its own reads, so that a busy event loop delays no sample. Texts of /proc are parsed by functions of text;
only `ProcReader` and `CpuClock` open files.
"""

import threading
import time
from dataclasses import dataclass
from typing import NamedTuple

from perbench.api.per import MemoryBasis
from perbench.resources import MemoryQuality, MemoryRecord
from perbench_bench.cpu_series import Ages, CpuLostError, CpuSeries, CpuUnknownError, unknown_use, use_of
from perbench_bench.cpu_time import CpuClock
from perbench_bench.memory_limit import container_limit
from perbench_bench.memory_now import MemoryNow, Taken, known, peaks_of
from perbench_bench.memory_processes import Processes

SAMPLE_SECONDS = 0.5
"""Twice the rate the rules ask for: a late sample still keeps to one per second."""
SLOWEST_SECONDS = 1.0
SHORTEST_PAUSE_SECONDS = 0.1
COST = 0.01
"""Share of a core that sampling may take, as far as one sample a second allows. The kernel walks all pages of the
server for each: measured 2.3 ms for 390 MB."""

OUTSIDE_SHARE = 0.1
"""Beyond this share of its resident pages, what a server shares with strangers is no longer just common libraries."""

RESET_PEAK = "5\n"
"""Written to /proc/PID/clear_refs: sets VmHWM back to the present resident size (proc(5))."""


class ProcessEndedError(Exception):
    """A process of the server has ended; of a pod, all of them."""

    def __init__(self, pid: int | None = None) -> None:
        super().__init__("the server has ended" if pid is None else f"process {pid} of the server has ended")


@dataclass(frozen=True)
class ProcessMemory:
    """One process at one moment, in bytes."""

    pss: int | None
    """Proportional set size. None: the kernel does not let us read it."""
    resident: int
    """VmRSS: every page counts whole."""
    anonymous: int
    """RssAnon and RssShmem: what has no file behind it."""
    file: int
    """RssFile: pages of mapped files, the weights above all."""
    resident_peak: int
    """VmHWM: the largest resident size since the start or the last reset."""


@dataclass(frozen=True)
class Sample:
    """All processes of the server at one moment."""

    processes: tuple[ProcessMemory, ...]

    @property
    def pss(self) -> int | None:
        """Sum of PSS, bytes. None where one process does not show it."""
        values = [process.pss for process in self.processes]
        return None if None in values else sum(value for value in values if value is not None)


def parse_sizes(text: str) -> dict[str, int]:
    """Fields in kB of a text like /proc/PID/status or /proc/PID/smaps_rollup, in bytes."""
    sizes = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        words = value.split()
        if len(words) == 2 and words[1] == "kB" and words[0].isdigit():
            sizes[name] = int(words[0]) * 1024
    return sizes


def parse_process(status: str, smaps_rollup: str | None) -> ProcessMemory | None:
    """One process from the texts of its two files. None: it has ended (a zombie has no memory left)."""
    sizes = parse_sizes(status)
    if "VmRSS" not in sizes:
        return None
    return ProcessMemory(
        pss=parse_sizes(smaps_rollup).get("Pss") if smaps_rollup is not None else None,
        resident=sizes["VmRSS"],
        anonymous=sizes.get("RssAnon", 0) + sizes.get("RssShmem", 0),
        file=sizes.get("RssFile", 0),
        resident_peak=sizes.get("VmHWM", sizes["VmRSS"]),
    )


class ProcReader:
    """Reads the processes of one server."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._proc = processes.proc

    def sample(self) -> Sample:
        """Every process now. Raises ProcessEndedError: one that must run has ended, or none is left."""
        found = []
        for pid in self._now():
            process = self._read(pid)
            if process is not None:
                found.append(process)
            elif self._processes.must_run(pid):
                raise ProcessEndedError(pid)
        if not found:
            raise ProcessEndedError
        return Sample(tuple(found))

    def reset_peak(self) -> str | None:
        """Set VmHWM of every process back. Returns why not, where the kernel refuses."""
        for pid in self._now():
            path = self._proc / str(pid) / "clear_refs"
            try:
                path.write_text(RESET_PEAK)
            except (FileNotFoundError, ProcessLookupError) as error:
                if self._processes.must_run(pid):
                    return f"{path}: {error.strerror}"
            except OSError as error:
                return f"{path}: {error.strerror}"
        return None

    def _now(self) -> tuple[int, ...]:
        try:
            return self._processes.now()
        except OSError:  # a machine without /proc
            return ()

    def _read(self, pid: int) -> ProcessMemory | None:
        directory = self._proc / str(pid)
        try:
            status = (directory / "status").read_text(errors="replace")
        except OSError:
            return None
        try:
            return parse_process(status, (directory / "smaps_rollup").read_text() or None)
        except ProcessLookupError:
            return None
        except OSError:  # not ours to look at, or a kernel before 4.14
            return parse_process(status, None)


@dataclass
class Window:
    """What was seen between a start and a stop: counts and peaks, however long it is. Mutable: it grows by samples."""

    peak_is_of_window: bool
    """Whether VmHWM speaks of this window: it was set back, or nothing else ran since the server's start."""
    reset_refused: str | None
    ended: ProcessEndedError | None = None
    samples: int = 0
    latest: Sample | None = None
    alone: bool = True
    """Whether each sample showed a single process."""
    with_pss: int = 0
    """Samples that showed PSS."""
    pss: int = 0
    """This and the following: peaks over the samples, bytes."""
    resident: int = 0
    """Of a single process."""
    anonymous: int = 0
    file: int = 0

    def add(self, sample: Sample) -> None:
        """Count a sample."""
        processes = sample.processes
        self.samples += 1
        self.latest = sample
        self.alone = self.alone and len(processes) == 1
        if (pss := sample.pss) is not None:
            self.with_pss += 1
            self.pss = max(self.pss, pss)
        self.resident = max(self.resident, *(process.resident for process in processes))
        self.anonymous = max(self.anonymous, sum(process.anonymous for process in processes))
        self.file = max(self.file, sum(process.file for process in processes))


def record_of(window: Window) -> MemoryRecord:
    """What a window shows. A figure that cannot be given is None, with its reason; never 0."""
    if window.ended is not None or window.latest is None:
        reason = f"{window.ended or 'nothing was read'}: its peak in the whole window is not known"
        return without_figures(reason, "/proc", window.samples)
    footprint = _footprint(window, window.latest)
    resident_peak = refused = None
    if window.peak_is_of_window:
        resident_peak = sum(process.resident_peak for process in window.latest.processes)
    else:
        refused = f"no peak of the resident size in this window: it cannot be set back ({window.reset_refused})"
    return MemoryRecord(
        quality=None if footprint.peak is None else MemoryQuality.MEASURED,
        footprint_bytes=footprint.peak,
        reserved_bytes=resident_peak,
        anonymous_peak_bytes=window.anonymous,
        file_peak_bytes=window.file,
        samples=window.samples,
        source=footprint.source,
        reason=footprint.reason,
        reserved_reason=refused,
    )


def without_figures(reason: str, source: str, samples: int = 0) -> MemoryRecord:
    """The record where nothing is known, and why."""
    return MemoryRecord(
        footprint_bytes=None, reserved_bytes=None, samples=samples, source=source, reason=reason, reserved_reason=reason
    )


def now_of(window: Window, limit: int | None, cpu_seconds: float | None = None) -> MemoryNow:
    """What a window shows at this moment. A server that has ended has no figures."""
    if window.ended is not None or window.latest is None:
        return MemoryNow()
    resident = sum(process.resident for process in window.latest.processes)
    footprint = _footprint(window, window.latest).current
    return MemoryNow(
        current=known({MemoryBasis.FOOTPRINT: footprint, MemoryBasis.RESERVED: resident}),
        peak=peaks_of(record_of(window)),
        limit=limit,
        cpu_seconds=cpu_seconds,
    )


class Footprint(NamedTuple):
    """Bytes at the peak and at the last look, where they come from, why there are none."""

    peak: int | None
    current: int | None
    source: str
    reason: str | None = None


def _footprint(window: Window, latest: Sample) -> Footprint:
    """Of a single process VmRSS counts each page once, as PSS is to do for several. It is taken where strangers (a
    second run, say) map the same weights: PSS would give them a part of what this server needs.
    """
    resident = latest.processes[0].resident
    if window.with_pss < window.samples:
        source = "VmRSS in /proc/PID/status (Pss in smaps_rollup cannot be read)"
        if window.alone:
            return Footprint(window.resident, resident, source)
        reason = "Pss cannot be read, and pages shared by the server's processes would count more than once"
        return Footprint(None, None, source, reason)
    if window.alone and window.resident - window.pss > OUTSIDE_SHARE * window.resident:
        source = "VmRSS in /proc/PID/status (other processes map the same files)"
        return Footprint(window.resident, resident, source)
    return Footprint(window.pss, latest.pss, "peak of the sum of Pss in /proc/PID/smaps_rollup")


def pause_after(spent: float, interval: float) -> float:
    """How long to wait after a sample that took `spent` seconds; `interval` is from beginning to beginning."""
    return max(SHORTEST_PAUSE_SECONDS, min(SLOWEST_SECONDS, max(interval, spent / COST)) - spent)


class MemoryReader:
    """Watches one server. `start` and `stop` stand around each stage; one reader serves all stages of one launch."""

    def __init__(self, processes: Processes, interval: float = SAMPLE_SECONDS) -> None:
        self._processes = processes
        self._reader = ProcReader(processes)
        self._interval = interval
        self._fresh = True
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._window = Window(peak_is_of_window=False, reset_refused=None)
        self._limit: int | None = None
        self._clock: CpuClock | None = None
        self._cpu = CpuSeries("/proc")
        self._now = MemoryNow()

    @property
    def latest(self) -> Sample | None:
        """The last sample of the window that is open, or was open last."""
        return self._window.latest

    def start(self) -> None:
        """Open a window (closing one that is open): set the peak back, look, and go on looking in a thread.

        Never raises for the server.
        """
        self._end()
        refused = self._reader.reset_peak()
        self._window = Window(peak_is_of_window=refused is None or self._fresh, reset_refused=refused)
        self._fresh = False
        self._limit = container_limit(self._processes)
        self._clock = CpuClock(self._processes)
        self._cpu = CpuSeries(self._clock.source)
        self._look()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def now(self) -> MemoryNow:
        """The last look's view. Does not look itself: it never waits, and any thread may ask."""
        return self._now

    def so_far(self, measured: Ages | None = None, asked: float | None = None) -> Taken:
        """Look once more; what the window shows until now. `measured`: the part of it that was measured, by its ages at
        the moment `asked` of the clock `time.monotonic`; None: now."""
        asked = time.monotonic() if asked is None else asked
        self._look()
        with self._lock:
            if measured is None:
                use = unknown_use("the load has not been measured", self._cpu.source)
            else:
                use = use_of(self._cpu, asked - measured.opened, asked - measured.closed)
            return Taken(record_of(self._window), use, self._now)

    def stop(self, measured: Ages | None = None) -> Taken:
        """Look a last time and close the window. `measured`: ages as of now."""
        asked = time.monotonic()  # before a look that is going on is waited for
        self._end()
        return self.so_far(measured, asked)

    def _end(self) -> None:
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None
            self._stopping.clear()

    def _watch(self) -> None:
        pause = pause_after(0.0, self._interval)
        while not self._stopping.wait(pause):
            began = time.monotonic()
            self._look()
            pause = pause_after(time.monotonic() - began, self._interval)

    def _look(self) -> None:
        with self._lock:
            if self._window.ended is not None:
                return
            self._read_cpu()
            try:
                self._window.add(self._reader.sample())
            except ProcessEndedError as ended:
                self._window.ended = ended
            self._now = now_of(self._window, self._limit, self._cpu.used)

    def _read_cpu(self) -> None:
        if self._clock is None:
            return
        try:
            self._cpu.add(time.monotonic(), self._clock.seconds())
        except CpuLostError as error:
            self._cpu.lost(str(error))
        except CpuUnknownError as error:
            self._cpu.refused(str(error))
