"""Who runs and who waits: sequences share the tokens of the KV cache and the slots of the model server."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from tests.images.tgi_contract.metrics import Metrics


@dataclass(eq=False)
class Place:
    """A sequence's claim on the batch. `tokens`: what its prompt and its first chunk may need."""

    tokens: int
    granted: asyncio.Event = field(default_factory=asyncio.Event)


class Batch:
    """First come, first served."""

    def __init__(self, slots: int, tokens: int, metrics: Metrics) -> None:
        self._slots, self._tokens, self._metrics = slots, tokens, metrics
        self._running: list[Place] = []
        self._waiting: deque[Place] = deque()

    async def enter(self, place: Place) -> None:
        """Wait until there is room. Cancelled, the claim is gone."""
        self._waiting.append(place)
        self._metrics.set("tgi_queue_size", len(self._waiting))
        self._admit()
        try:
            await place.granted.wait()
        except asyncio.CancelledError:
            self.leave(place)
            raise

    def leave(self, place: Place) -> None:
        """Give the room back."""
        if place in self._running:
            self._running.remove(place)
        if place in self._waiting:
            self._waiting.remove(place)
        self._admit()

    def is_first(self, place: Place) -> bool:
        """Whether it is the one that has run longest: its tokens stand for the steps of the batch."""
        return bool(self._running) and self._running[0] is place

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._slots and self._fits(self._waiting[0]):
            place = self._waiting.popleft()
            self._running.append(place)
            place.granted.set()
        self._metrics.set("tgi_queue_size", len(self._waiting))
        self._metrics.set("tgi_batch_current_size", len(self._running))
        self._metrics.set("tgi_batch_current_max_tokens", self._used())

    def _fits(self, place: Place) -> bool:
        return not self._running or self._used() + place.tokens <= self._tokens

    def _used(self) -> int:
        return sum(place.tokens for place in self._running)
