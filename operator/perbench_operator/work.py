"""The loops beside the watch: they ask the API how things stand. And what is listed before the watch begins."""

import asyncio
import logging
from collections.abc import Callable, Collection

from perbench.api.resource import KIND
from perbench_operator.api import ApiRefusalError, Benchmarks
from perbench_operator.cache import WATCHED, Cache, selector
from perbench_operator.client import AnswerError, KubernetesApi, UnavailableError
from perbench_operator.configuration import Scope
from perbench_operator.health import Health

ASK_SECONDS = 15.0
"""The API is asked this often."""
ASK_SECONDS_AT_START = 1.0
"""The same, until everything listed has come through the watch."""

SWEEP_SECONDS = 300.0
"""Benchmarks are listed this often, for what was deleted while a watch was broken off: no watch tells that."""

Clock = Callable[[], float]
Listed = Callable[[str | None, Collection[str], int], None]
"""Takes a list of benchmarks: namespace (None: all), their uids, the resource version at which they were listed."""

logger = logging.getLogger("perbench_operator")


async def prime(api: KubernetesApi, cache: Cache, scope: Scope) -> None:
    """List what runs have made, so that the first decisions know of it. Raises UnavailableError and AnswerError."""
    for namespace in scope or (None,):
        for kind in WATCHED:
            page = await api.list(kind, namespace, labels=selector(kind))
            for body in page.items:
                cache.child(kind, None, body)


async def discovered(api: KubernetesApi) -> None:
    """Wait until the API tells of benchmarks: kopf asks it once which kinds there are, and never watches others."""
    while not await _is_discovered(api):  # noqa: ASYNC110  what is waited for tells nobody
        await asyncio.sleep(ASK_SECONDS_AT_START)


async def _is_discovered(api: KubernetesApi) -> bool:
    try:
        return await api.tells_of(KIND)
    except UnavailableError:
        return False
    except AnswerError as error:  # then kopf is told nothing either, and says so
        logger.warning("the API does not tell what it serves: %s", error)
        return True


async def ask(benchmarks: Benchmarks, health: Health, clock: Clock, answered: asyncio.Event) -> None:
    """Ask the API how things stand, for ever; `answered` is set from its first answer on."""
    trouble = ""
    while True:
        try:
            if health.caught_up:
                await benchmarks.ask()
                health.answered(clock())
            else:
                health.listed(clock(), await benchmarks.uids())
            answered.set()
            trouble = ""
        except ApiRefusalError as refusal:
            health.refused(str(refusal))
            if str(refusal) != trouble:
                trouble = str(refusal)
                logger.warning(trouble)
        await asyncio.sleep(ASK_SECONDS if health.caught_up else ASK_SECONDS_AT_START)


async def sweep(api: KubernetesApi, scope: Scope, listed: Listed) -> None:
    """List the benchmarks now and then, for ever. Of a list that cannot be had the next one tells."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for namespace in scope or (None,):
            try:
                page = await api.list(KIND, namespace, metadata_only=True)
            except (UnavailableError, AnswerError) as error:
                logger.debug("benchmarks not listed: %s", error)
            else:
                listed(namespace, {body["metadata"]["uid"] for body in page.items}, page.version)
