"""Where finished stages go: files in local mode (`file_store`), an object in a cluster (`cluster_store`)."""

from collections.abc import Collection
from typing import Protocol

from perbench.plan import StageKey
from perbench.results import StageRecord


class StageStore(Protocol):
    """What is in it is never measured again."""

    async def recorded(self) -> Collection[StageKey]:
        """The stages of this launch that it holds. Raises RunError: it cannot be read."""

    async def store(self, record: StageRecord) -> None:
        """Keep a finished stage, whole or not at all. Raises RunError: it cannot be kept."""
