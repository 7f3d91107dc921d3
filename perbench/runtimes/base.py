"""What perbench must know of a model server to start it, ask it, watch it and stop it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import ClassVar

from pydantic import JsonValue

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.metrics import MetricNames


@dataclass(frozen=True)
class Image:
    """The container image that is used where the benchmark names none."""

    reference: str
    known: date
    """When it was last looked at: images move."""


class MemoryOrigin(StrEnum):
    """Where the memory of a model is read."""

    PROCESSES = "Processes"
    DEVICE = "Device"


class Runtime(ABC):
    """One kind of model server. Constants say what it is; methods say how it is told what to do."""

    name: ClassVar[RuntimeName]
    image: ClassVar[Image | None]
    """None: the benchmark must name one."""
    port: ClassVar[int]
    """Where it listens in its container."""
    health_path: ClassVar[str]
    """Answers 200 from when the model is ready, and not before."""
    metrics_path: ClassVar[str | None]
    metrics: ClassVar[MetricNames]
    memory_origin: ClassVar[MemoryOrigin]
    protocols: ClassVar[Mapping[PromptApi, Protocol]]
    """How it is spoken to, for each `load.api`."""
    stop_seconds: ClassVar[int]
    """How long it may take to end after SIGTERM with requests open."""
    counts_end_token: ClassVar[bool | None]
    """Whether its count of generated tokens includes the end token. None: not known."""
    can_force_length: ClassVar[bool]
    """Whether it takes `ignore_eos`."""

    @abstractmethod
    def arguments(self, model: str, args: Sequence[str]) -> tuple[str, ...]:
        """The words after the image's entry point: serve the model at path `model`, with the user's `args` last."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Variables the server is started with; the user's come over them."""

    @abstractmethod
    def request_additions(self) -> Mapping[str, JsonValue]:
        """What every request body carries beside prompt and sampling, for a measurement without prefix cache."""
