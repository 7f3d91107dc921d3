"""The two loops beside the watch: one takes what the watch brings, one asks the API how things stand."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from perbench.api.messages import mistakes
from perbench.api.reading import parse
from perbench.api.yamltext import path_text
from perbench.failures import shorten
from perbench_operator.api import ApiRefusalError, Benchmarks
from perbench_operator.health import Health

TICK_SECONDS = 5.0
"""The working loop goes round at least this often."""
ASK_SECONDS = 15.0
"""The API is asked this often."""
ASK_SECONDS_AT_START = 1.0
"""The same, until everything listed has come through the watch."""

Clock = Callable[[], float]

logger = logging.getLogger("perbench_operator")


class Known:
    """The benchmarks that are there, by uid, with the generation of the spec that was last told of."""

    def __init__(self) -> None:
        self._generations: dict[str, int] = {}

    def news(self, kind: str | None, body: dict[str, Any]) -> str | None:
        """What an event says that was not known: one line for the log. None: nothing."""
        metadata = body["metadata"]
        uid, generation = metadata["uid"], metadata.get("generation", 0)
        name = f"{metadata['namespace']}/{metadata['name']}"
        if kind == "DELETED":
            return f"{name}: gone" if self._generations.pop(uid, None) is not None else None
        if self._generations.get(uid) == generation:
            return None
        self._generations[uid] = generation
        return f"{name}: {summary(body)}"


def summary(body: dict[str, Any]) -> str:
    """What a benchmark asks for, in one line; for one that does not keep the API's rules, the first it breaks."""
    try:
        benchmark = parse({key: body[key] for key in ("apiVersion", "kind", "metadata", "spec") if key in body})
    except ValidationError as error:
        first = next(mistakes(error))
        return shorten(f"not understood: {path_text(first.location)}: {first.message}", 300).replace("\n", " ")
    return benchmark.summary.removeprefix(f"{benchmark.metadata.name}: ")


async def work(events: asyncio.Queue[tuple[str | None, dict[str, Any]]], health: Health, clock: Clock) -> None:
    """Take events as they come, for ever. Every round is a sign of life."""
    known = Known()
    while True:
        health.tick(clock())
        try:
            async with asyncio.timeout(TICK_SECONDS):
                kind, body = await events.get()
        except TimeoutError:
            continue
        health.seen(body["metadata"]["uid"])
        if line := known.news(kind, body):
            logger.info(line)


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
