"""The loops beside the watch: they ask the API how things stand. And what is listed before the watch begins."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator

from perbench.api.crd import PLURAL
from perbench.api.resource import KIND
from perbench_operator.api import ApiRefusalError, Benchmarks, refusals, where
from perbench_operator.cache import WATCHED, Cache, selector
from perbench_operator.client import KINDS, AnswerError, KubernetesApi, UnavailableError
from perbench_operator.configuration import Scope
from perbench_operator.health import Health

ASK_SECONDS = 15.0
"""The API is asked this often."""
ASK_SECONDS_AT_START = 1.0
"""The same, until everything listed has come through the watch."""

BEAT_SECONDS = 5.0
"""So often it is shown that the operator lives while it waits for the API."""

SWEEP_SECONDS = 300.0
"""Benchmarks are listed this often, for what was deleted while a watch was broken off: no watch tells that."""

Clock = Callable[[], float]
Listed = Callable[[str | None, Collection[str], int], None]
"""Takes a list of benchmarks: namespace (None: all), their uids, the resource version at which they were listed."""

logger = logging.getLogger("perbench_operator")


async def beat(tick: Callable[[], None]) -> None:
    """Tick for ever: what waits for the API lives, and would not wait less long if it were started anew."""
    while True:
        tick()
        await asyncio.sleep(BEAT_SECONDS)


async def prime(api: KubernetesApi, cache: Cache, scope: Scope, health: Health) -> None:
    """List what runs have made, so that the first decisions know of it.

    An API that is away is waited for, and one that refuses everything. What it refuses of one namespace among others
    is left to the watch, which asks again and again.
    """
    places: tuple[str | None, ...] = scope or (None,)
    left, waits, told = places, _waits(), ""
    while True:
        refused: dict[str | None, ApiRefusalError] = {}
        for place in left:
            try:
                await _prime(api, cache, place)
            except ApiRefusalError as error:
                refused[place] = error
        left, trouble = tuple(refused), "; ".join(map(str, refused.values()))
        if trouble and trouble != told:
            told = trouble
            logger.warning(trouble)
        if len(left) < len(places) and not any(error.away for error in refused.values()):
            health.hindered(None)
            return
        health.hindered(trouble)
        await asyncio.sleep(next(waits))


async def _prime(api: KubernetesApi, cache: Cache, place: str | None) -> None:
    """Of one namespace (None: all). Raises ApiRefusalError."""
    for kind in WATCHED:
        with refusals(place, KINDS[kind][1]):
            page = await api.list(kind, place, labels=selector(kind))
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
    """Ask the API how things stand, for ever; `answered` is set from its first answer on, of whatever namespace."""
    told: dict[str | None, str] = {}
    waits = _waits()
    while True:
        for place in benchmarks.places:
            try:
                if health.has_caught_up(place):
                    await benchmarks.ask(place)
                    health.answered(clock(), place)
                else:
                    health.listed(clock(), await benchmarks.uids(place), place)
                answered.set()
                if told.pop(place, None):
                    logger.info("%s %s can be listed now", PLURAL, where(place))
            except ApiRefusalError as error:
                health.refused(str(error), place, away=error.away)
                if str(error) != told.get(place):
                    told[place] = str(error)
                    logger.warning(str(error))
        if health.caught_up:
            await asyncio.sleep(ASK_SECONDS)
        elif len(told) < len(benchmarks.places):
            await asyncio.sleep(ASK_SECONDS_AT_START)
        else:
            await asyncio.sleep(next(waits))


def _waits() -> Iterator[float]:
    """Between questions that are refused at the start, in seconds: ever longer."""
    wait = ASK_SECONDS_AT_START
    while True:
        yield wait
        wait = min(2.0 * wait, ASK_SECONDS)


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
