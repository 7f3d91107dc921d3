"""Who looks on while a load runs: the exporter of a pod, or nobody."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from perbench_bench.engine.feed import Feed
from perbench_bench.engine.observations import Observations
from perbench_bench.memory_source import Memory


@dataclass(frozen=True, slots=True)
class LoadUnderWay:
    """The load of one stage, from before its first request until its last answer was read and its memory too."""

    task: str
    measured: int
    """Requests that are to be measured."""
    seen: Observations
    feed: Feed
    wait_ms: Callable[[], float | None]
    """The mean wait for a core per wake-up so far, in ms. None: it is not known."""
    memory: Memory | None
    """Watches the server meanwhile. None: there is no source."""


Onlooker = Callable[[LoadUnderWay], AbstractContextManager[object]]
"""Entered before the load and left after it, however it ends. May look at it from another thread meanwhile."""


def nobody(_load: LoadUnderWay) -> AbstractContextManager[object]:
    """Looks at nothing."""
    return nullcontext()
