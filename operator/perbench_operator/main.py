"""`perbench-operator --config FILE`: carry benchmarks out until told to stop.

Exit 0: told to stop. 1: something ended that must not. 2: wrong settings, or no way to the API.
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn, cast

import kopf
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from perbench.api.resource import KIND
from perbench.errors import PerbenchError
from perbench.failures import UsageError
from perbench_operator.api import Benchmarks, load_configuration
from perbench_operator.cache import Cache
from perbench_operator.client import KubernetesApi
from perbench_operator.configuration import LogLevel, OperatorConfiguration, read_configuration
from perbench_operator.grafana import Child, Teller
from perbench_operator.health import Health, WatchTimes
from perbench_operator.metrics import OperatorCollector, OperatorState, metric_routes
from perbench_operator.probes import probe_routes
from perbench_operator.reconcile import Reconciler
from perbench_operator.watch import WATCHED_KINDS, Received, is_worth_a_line, operator_registry, watch
from perbench_operator.work import ask, beat, discovered, prime, sweep

logger = logging.getLogger("perbench_operator")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="perbench-operator", description="Carry out PERBenchmarks in a cluster.")
    parser.add_argument("--config", type=Path, required=True, help="the operator's settings (YAML)")
    arguments = parser.parse_args()
    try:
        configuration = read_configuration(arguments.config)
        configure_logging(configuration.log_level)
        asyncio.run(operate(configuration))
    except PerbenchError as error:
        _end(error)
    except ExceptionGroup as group:
        refusal = _only_cause(group)
        if refusal is None:
            raise
        _end(refusal)
    except asyncio.CancelledError:
        sys.exit(0)  # told to stop before the watch began


def _end(error: PerbenchError) -> NoReturn:
    sys.stderr.write(f"perbench-operator: {error}\n")
    sys.exit(error.exit_code)


def _only_cause(group: ExceptionGroup[Exception]) -> PerbenchError | None:
    """What the user can mend, where tasks that run side by side have ended by nothing else."""
    ours, others = group.split(PerbenchError)
    first: Exception | None = ours if others is None else None
    while isinstance(first, ExceptionGroup):
        first = first.exceptions[0]
    return first if isinstance(first, PerbenchError) else None


def configure_logging(level: LogLevel) -> None:
    """Log to standard error; of kopf's own lines, one for every event that it hands on is for Debug only."""
    kopf.configure(verbose=level is LogLevel.DEBUG, quiet=level is LogLevel.WARNING)
    if level is not LogLevel.DEBUG:
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)
        for handler in logging.getLogger().handlers:
            handler.addFilter(is_worth_a_line)


async def operate(configuration: OperatorConfiguration) -> None:
    """Run everything until the process is told to stop. Raises UsageError where the start fails, and from where tasks
    run side by side an ExceptionGroup."""
    clock, scope = time.monotonic, configuration.namespaces
    health, watches = Health(clock(), scope), WatchTimes(clock(), WATCHED_KINDS.values(), scope)
    cache = Cache()
    answered = asyncio.Event()
    _stop_on_signal(cast("asyncio.Task[None]", asyncio.current_task()))
    try:
        access = await load_configuration()
    except ConfigException as error:
        raise UsageError(f"no way to a Kubernetes API: {error}; set KUBECONFIG, or run in a pod") from error
    async with ApiClient(access) as client:
        api = KubernetesApi(client)
        benchmarks = Benchmarks(api, scope)
        reconciler = Reconciler(api, cache, configuration, clock)
        target = configuration.grafana
        teller = Teller(target, Child(target), reconciler.queue.add, clock) if target else None
        reconciler.grafana = teller
        counts = teller.counts if teller else None
        state = OperatorState(cache.benchmarks, reconciler.queue, reconciler.looks, health, watches, counts)
        async with (
            probe_routes(health, clock, None, configuration.probe_port) as probes,
            metric_routes(OperatorCollector(state, clock), None, configuration.metrics_port) as metrics,
            asyncio.TaskGroup() as group,
        ):
            where = ", ".join(scope) or "all namespaces"
            logger.info("watching %s; probes on port %d, metrics on port %d", where, probes, metrics)
            waiting = group.create_task(beat(lambda: health.tick(clock())))
            loops = [group.create_task(ask(benchmarks, health, clock, answered))]
            await answered.wait()
            await prime(api, cache, scope, health)
            await discovered(api)
            waiting.cancel()  # from here on the working loop has to show that it lives
            loops.append(group.create_task(reconciler.work(lambda: health.tick(clock()))))
            loops.append(group.create_task(sweep(api, scope, reconciler.listed)))
            if teller is not None:
                loops.append(group.create_task(teller.work()))
            registry = operator_registry(
                receiver(reconciler, health, watches), lambda kind, place: watches.heard(kind, place, clock())
            )
            await watch(scope, registry)
            for loop in loops:
                loop.cancel()


def receiver(reconciler: Reconciler, health: Health, watches: WatchTimes) -> Received:
    """What becomes of an event."""

    def received(kind: str, event: str | None, body: dict[str, Any]) -> None:
        watches.heard(kind, body["metadata"].get("namespace", ""), time.monotonic())
        if kind == KIND:
            health.seen(body["metadata"]["uid"], body["metadata"]["namespace"])
        reconciler.received(kind, event, body)

    return received


def _stop_on_signal(start: asyncio.Task[None]) -> None:
    """Until kopf takes the signals over, SIGTERM and SIGINT end the start. (Process 1 of a pod ignores them else.)"""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, start.cancel)
