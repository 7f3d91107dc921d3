"""The stages of one launch, measured by a bench process. A rim; what its end means is decided in `outcome`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perbench.assembly import missing_stages
from perbench.failures import Failure
from perbench.local.bench_process import BenchProcess
from perbench.local.interruption import Interruption
from perbench.local.outcome import BenchEnd, launch_failure
from perbench.local.store import Store
from perbench.plan import Plan, StageKey
from perbench.progress import Progress
from perbench.results import LaunchRecord, StageRecord
from perbench.schedule import Launch

SERVER_GRACE_SECONDS = 1.0
"""A crashed server closes its connections before the system reports its end: the bench process may know it first."""


class _ServerEndedError(Exception):
    """The model's process ended while its stages were measured."""


@dataclass(frozen=True)
class Measurement:
    """What is needed to measure one launch of a model that answers."""

    launch: Launch
    plan: Plan
    keys: Sequence[StageKey]
    server_failure: Callable[[], Failure | None]
    """Looks at the model's process: None while it runs, and for an endpoint."""


@dataclass(frozen=True)
class Measured:
    """What a bench process left."""

    stages: tuple[StageRecord, ...]
    failure: Failure | None
    """Why stages are missing, where some are."""


def measure(
    store: Store, measurement: Measurement, interruption: Interruption, heard: Callable[[Progress], None]
) -> Measured:
    """Run the bench process to its end. Whatever ends it, no process stays, and finished stages are in the store."""
    launch = measurement.launch
    with interruption.deferred():  # raised inside the serializer, an interruption comes out as an error of its own
        plan = store.write_plan(measurement.plan)
    output, log = store.stage_directory(launch.model, launch.round), store.log(launch.model, launch.round, "bench")
    bench: BenchProcess | None = None
    try:
        with interruption.deferred():
            bench = BenchProcess(plan, output, log)
        exit_code = _follow(bench, measurement, heard)
    finally:
        if bench is not None:
            with interruption.deferred():
                bench.stop()
    stages = store.stages(launch.model, launch.round)
    missing = missing_stages(LaunchRecord(round=launch.round, order=launch.order, stages=stages), measurement.keys)
    end = BenchEnd(
        recorded=store.take_failure(launch.model, launch.round),
        unexplained=bench.unexplained(exit_code, launch.model),
        server=_late_failure(measurement) if missing else None,
        missing=missing,
    )
    return Measured(stages, launch_failure(end, launch.model))


def _follow(bench: BenchProcess, measurement: Measurement, heard: Callable[[Progress], None]) -> int:
    def watch() -> None:
        if measurement.server_failure() is not None:
            raise _ServerEndedError

    try:
        return bench.follow(heard, watch)
    except _ServerEndedError:
        return bench.stop()


def _late_failure(measurement: Measurement) -> Failure | None:
    """Look at the model's process once more, for as long as its end may take to be reported."""
    deadline = time.monotonic() + SERVER_GRACE_SECONDS
    while (failure := measurement.server_failure()) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return failure
