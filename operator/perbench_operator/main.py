"""`perbench-operator --config FILE`: watch benchmarks until told to stop.

Exit 0: told to stop. 1: something ended that must not. 2: wrong settings, or no way to the API.
"""

import argparse
import asyncio
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

import kopf
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from perbench.errors import PerbenchError
from perbench.failures import UsageError
from perbench_operator.api import Benchmarks, load_configuration
from perbench_operator.configuration import LogLevel, OperatorConfiguration, read_configuration
from perbench_operator.health import Health
from perbench_operator.probes import probe_routes
from perbench_operator.watch import operator_registry, watch
from perbench_operator.work import ask, work

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  the kubelet asks from outside the pod

logger = logging.getLogger("perbench_operator")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="perbench-operator", description="Watch PERBenchmarks in a cluster.")
    parser.add_argument("--config", type=Path, required=True, help="the operator's settings (YAML)")
    arguments = parser.parse_args()
    try:
        configuration = read_configuration(arguments.config)
        configure_logging(configuration.log_level)
        asyncio.run(operate(configuration))
    except PerbenchError as error:
        sys.stderr.write(f"perbench-operator: {error}\n")
        sys.exit(error.exit_code)
    except asyncio.CancelledError:
        sys.exit(0)  # told to stop before the watch began


def configure_logging(level: LogLevel) -> None:
    """Log to standard error; of kopf's own lines, one for every event that it hands on is for Debug only."""
    kopf.configure(verbose=level is LogLevel.DEBUG, quiet=level is LogLevel.WARNING)
    if level is not LogLevel.DEBUG:
        logging.getLogger("kopf.objects").setLevel(logging.WARNING)


async def operate(configuration: OperatorConfiguration) -> None:
    """Run everything until the process is told to stop. Raises UsageError where the start fails."""
    health = Health(time.monotonic())
    events: asyncio.Queue[tuple[str | None, dict[str, Any]]] = asyncio.Queue()
    registry = operator_registry(lambda kind, body: events.put_nowait((kind, body)))
    answered = asyncio.Event()
    _stop_on_signal(cast("asyncio.Task[None]", asyncio.current_task()))
    try:
        access = await load_configuration()
    except ConfigException as error:
        raise UsageError(f"no way to a Kubernetes API: {error}; set KUBECONFIG, or run in a pod") from error
    async with (
        ApiClient(access) as client,
        probe_routes(health, time.monotonic, ALL_ADDRESSES, configuration.probe_port) as port,
        asyncio.TaskGroup() as group,
    ):
        logger.info("watching %s; probes on port %d", ", ".join(configuration.namespaces) or "all namespaces", port)
        benchmarks = Benchmarks(client, configuration.namespaces)
        loops = [
            group.create_task(work(events, health, time.monotonic)),
            group.create_task(ask(benchmarks, health, time.monotonic, answered)),
        ]
        await answered.wait()  # kopf looks for the resource only once, when it starts
        await watch(configuration.namespaces, registry)
        for loop in loops:
            loop.cancel()


def _stop_on_signal(start: asyncio.Task[None]) -> None:
    """Until kopf takes the signals over, SIGTERM and SIGINT end the start. (Process 1 of a pod ignores them else.)"""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, start.cancel)
