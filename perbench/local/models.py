"""What local mode needs of a model: to be started, looked at, stopped. An endpoint is one that is left alone."""

from pathlib import Path
from typing import Protocol

from perbench.api.models import Endpoint
from perbench.failures import Failure
from perbench.plan import MemorySource, Target
from perbench.planning import endpoint_record, endpoint_target
from perbench.results import ModelRecord


class Running(Protocol):
    """A model that answers."""

    @property
    def target(self) -> Target:
        """Where, and how it is spoken to."""

    @property
    def memory(self) -> MemorySource | None:
        """Where its memory is read. None: it runs elsewhere."""

    @property
    def ready_seconds(self) -> float | None:
        """From its start to its first sign of readiness. None: nothing was started."""

    def recorded(self, record: ModelRecord) -> ModelRecord:
        """Its record with what only a running server tells: version, arguments in effect."""

    def failure(self) -> Failure | None:
        """Why its process has ended. None while it runs."""

    def stop(self) -> None:
        """End its process; nothing of it stays. Never raises."""


class LocalModel(Protocol):
    """An entry of `spec.models`, with its files found."""

    @property
    def record(self) -> ModelRecord:
        """What is known of it before it is started."""

    @property
    def is_started(self) -> bool:
        """Whether a process is started for it."""

    def start(self, log: Path) -> Running:
        """Start it and wait until it answers. Raises RunError with the failure as it goes into the results."""


class EndpointModel:
    """A server that already runs: nothing is started or stopped, and its memory cannot be read."""

    is_started = False
    memory = None
    ready_seconds = None

    def __init__(self, name: str, endpoint: Endpoint, *, with_key: bool) -> None:
        self.record = endpoint_record(name, endpoint)
        self.target = endpoint_target(endpoint, with_key=with_key)

    def start(self, log: Path) -> Running:
        """Turn to it; whether it answers is found by the first request."""
        del log
        return self

    def recorded(self, record: ModelRecord) -> ModelRecord:
        """Nothing more is known of it."""
        return record

    def failure(self) -> Failure | None:
        """Its process is not ours to look at."""
        return None

    def stop(self) -> None:
        """It goes on."""
