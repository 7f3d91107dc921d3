"""Where a stage's figures of memory and processor time come from: processes on this machine,
readers in the model's pods, or accelerators."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from perbench.plan import MemorySource
from perbench_bench.api_server import ApiServer
from perbench_bench.cpu_series import Ages
from perbench_bench.device.footprint import ModelFiles
from perbench_bench.device.reader import DeviceReader
from perbench_bench.device.telemetry import telemetry_of
from perbench_bench.engine.connection import Clock
from perbench_bench.engine.feed import NS
from perbench_bench.load_run import LoadRun
from perbench_bench.memory import MemoryReader
from perbench_bench.memory_now import MemoryNow, Taken
from perbench_bench.memory_processes import GivenProcesses
from perbench_bench.memory_replicas import SidecarMemory
from perbench_bench.metrics_watch import MetricsWatch
from perbench_bench.pod_metrics import with_working_set
from perbench_bench.pod_metrics_watch import PodMetricsWatch


class Memory(Protocol):
    """Watches what a server takes of its machine. `start` and `stop` may block for seconds; nothing raises for it."""

    def start(self, metrics: MetricsWatch) -> None:
        """Open a window, before a load; one that is open is dropped. `metrics`: what the server says meanwhile."""

    def stop(self, run: LoadRun) -> Taken:
        """What it showed, after the load, which `run` was."""

    def now(self) -> MemoryNow:
        """What is known at this moment; outside a window what was known last, or nothing.

        For any thread, also while another one is in `start` or `stop`. Waits for half a second at most.
        """


class HostMemory:
    """Memory and processor time of the host: what the server says is nothing to it, and of the load only its window.

    `pods` are asked besides, for a footprint where the reader has none. None: nobody is.
    """

    def __init__(self, reader: MemoryReader | SidecarMemory, pods: PodMetricsWatch | None = None) -> None:
        self._reader = reader
        self._pods = pods

    def start(self, metrics: MetricsWatch) -> None:
        """Open a window."""
        del metrics
        self._reader.start()
        if self._pods is not None:
            self._pods.start()

    def stop(self, run: LoadRun) -> Taken:
        """What it showed."""
        taken = self._reader.stop(_ages_of(run))
        if self._pods is None:
            return taken
        if taken.memory.footprint_bytes is not None:
            self._pods.drop()
            return taken
        window = (run.feed.window_start or 0, run.feed.window_end or 0)
        return replace(taken, memory=with_working_set(taken.memory, self._pods.stop(window)))

    def now(self) -> MemoryNow:
        """What the reader knows at this moment. What the pods tell stands in the record alone: it is of another kind,
        and a peak over stages is not to be of both."""
        return self._reader.now()


def _ages_of(run: LoadRun) -> Ages | None:
    """The window in which the load was measured, until now."""
    feed, now = run.feed, run.loop.clock()
    if feed.window_start is None or feed.window_end is None:
        return None
    return Ages((now - feed.window_start) / NS, (now - feed.window_end) / NS)


def memory_of(
    source: MemorySource | None,
    addresses: Sequence[str],
    files: ModelFiles,
    clock: Clock = time.perf_counter_ns,
    api: ApiServer | None = None,
) -> Memory | None:
    """The reader of a plan's source; `addresses` are the server's, `files` its model's, `clock` that of the load, `api`
    the cluster's API server, where there is one. None: there is no source."""
    if source is None:
        return None
    if source.device is not None:
        device, asked = source.device, source.telemetry
        telemetry = telemetry_of(asked, device.accelerators, clock) if asked else None
        return DeviceReader(addresses, device, files, telemetry)
    if source.sidecar_port is not None:
        pods = PodMetricsWatch(source.pod_metrics, api, clock) if source.pod_metrics and api else None
        return HostMemory(SidecarMemory(addresses, source.sidecar_port), pods)
    return HostMemory(MemoryReader(GivenProcesses(source.process_ids)))
