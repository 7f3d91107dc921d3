"""Memory of a model's server on this machine, read from /proc while a stage runs (measurement.md §8).

The footprint is the peak of the sum of PSS over the server's processes and their descendants: pages that several of
them share count once. A thread of its own reads, so that a busy event loop delays no sample. Texts of /proc are parsed
by functions of text; only `ProcReader` opens files.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perbench.plan import MemorySource
from perbench.results import MemoryRecord

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
    """A process of the server has ended."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} of the server has ended")


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
    """Reads the processes of one server: the given ones, which must run, and whatever they have started."""

    def __init__(self, process_ids: Sequence[int], proc: Path) -> None:
        self._roots = tuple(process_ids)
        self._proc = proc

    def sample(self) -> Sample:
        """Every process now. Raises ProcessEndedError when one of the given ones has ended."""
        found = []
        for pid in self._tree():
            process = self._read(pid)
            if process is not None:
                found.append(process)
            elif pid in self._roots:
                raise ProcessEndedError(pid)
        return Sample(tuple(found))

    def reset_peak(self) -> str | None:
        """Set VmHWM of every process back. Returns why not, where the kernel refuses."""
        for pid in self._tree():
            path = self._proc / str(pid) / "clear_refs"
            try:
                path.write_text(RESET_PEAK)
            except (FileNotFoundError, ProcessLookupError) as error:
                if pid in self._roots:
                    return f"{path}: {error.strerror}"
            except OSError as error:
                return f"{path}: {error.strerror}"
        return None

    def _tree(self) -> tuple[int, ...]:
        """The given processes and their descendants. Kernels without the file `children` show the given ones only."""
        found = list(self._roots)
        for pid in found:
            for path in self._proc.joinpath(str(pid), "task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found.extend(child for child in map(int, path.read_text().split()) if child not in found)
        return tuple(found)

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
    """What was seen between a start and a stop. Mutable: the sampling thread adds to it."""

    peak_is_of_window: bool
    """Whether VmHWM speaks of this window: it was set back, or nothing else ran since the server's start."""
    reset_refused: str | None
    samples: list[Sample] = field(default_factory=list)
    ended: ProcessEndedError | None = None


def record_of(window: Window) -> MemoryRecord:
    """What a window shows. A figure that cannot be given is None, with its reason; never 0."""
    samples = window.samples
    if window.ended is not None or not samples:
        return MemoryRecord(
            footprint_bytes=None,
            resident_peak_bytes=None,
            samples=len(samples),
            source="/proc",
            reason=f"{window.ended or 'nothing was read'}: its peak in the whole window is not known",
        )
    footprint, source, reason = _footprint(samples)
    resident_peak = None
    if window.peak_is_of_window:
        resident_peak = sum(process.resident_peak for process in samples[-1].processes)
    elif reason is None:
        reason = f"no peak of the resident size in this window: it cannot be set back ({window.reset_refused})"
    return MemoryRecord(
        footprint_bytes=footprint,
        resident_peak_bytes=resident_peak,
        anonymous_peak_bytes=max(sum(process.anonymous for process in sample.processes) for sample in samples),
        file_peak_bytes=max(sum(process.file for process in sample.processes) for sample in samples),
        samples=len(samples),
        source=source,
        reason=reason,
    )


def _footprint(samples: Sequence[Sample]) -> tuple[int | None, str, str | None]:
    """(bytes, where they come from, why there are none).

    Of a single process VmRSS counts each page once, as PSS is to do for several. It is taken where strangers (a second
    run, say) map the same weights: PSS would give them a part of what this server needs.
    """
    alone = all(len(sample.processes) == 1 for sample in samples)
    resident = max(process.resident for sample in samples for process in sample.processes)
    shown = [pss for sample in samples if (pss := sample.pss) is not None]
    if len(shown) < len(samples):
        source = "VmRSS in /proc/PID/status (Pss in smaps_rollup cannot be read)"
        if alone:
            return resident, source, None
        return None, source, "Pss cannot be read, and pages shared by the server's processes would count more than once"
    if alone and resident - max(shown) > OUTSIDE_SHARE * resident:
        return resident, "VmRSS in /proc/PID/status (other processes map the same files)", None
    return max(shown), "peak of the sum of Pss in /proc/PID/smaps_rollup", None


def pause_after(spent: float, interval: float) -> float:
    """How long to wait after a sample that took `spent` seconds; `interval` is from beginning to beginning."""
    return max(SHORTEST_PAUSE_SECONDS, min(SLOWEST_SECONDS, max(interval, spent / COST)) - spent)


class MemoryReader:
    """Watches one server. `start` and `stop` stand around each stage; one reader serves all stages of one launch."""

    def __init__(self, source: MemorySource, proc: Path = Path("/proc"), interval: float = SAMPLE_SECONDS) -> None:
        self._reader = ProcReader(source.process_ids, proc)
        self._interval = interval
        self._fresh = True
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._window = Window(peak_is_of_window=False, reset_refused=None)

    @property
    def seen(self) -> Sequence[Sample]:
        """What the window that is open, or was open last, has shown."""
        return self._window.samples

    def start(self) -> None:
        """Open a window: set the peak back, look once, and go on looking in a thread. Never raises for the server."""
        refused = self._reader.reset_peak()
        self._window = Window(peak_is_of_window=refused is None or self._fresh, reset_refused=refused)
        self._fresh = False
        self._stopping.clear()
        self._look()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def stop(self) -> MemoryRecord:
        """Look a last time and close the window."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._look()
        return record_of(self._window)

    def _watch(self) -> None:
        pause = pause_after(0.0, self._interval)
        while not self._stopping.wait(pause):
            began = time.monotonic()
            self._look()
            pause = pause_after(time.monotonic() - began, self._interval)

    def _look(self) -> None:
        if self._window.ended is not None:
            return
        try:
            self._window.samples.append(self._reader.sample())
        except ProcessEndedError as ended:
            self._window.ended = ended
