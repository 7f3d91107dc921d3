"""`spec.load`: how hard the models are asked, and for how long."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.api.rules import ApiObject


class PromptApi(StrEnum):
    """Which of a server's routes carries the prompts."""

    COMPLETION = "Completion"
    CHAT = "Chat"


class WarmupSpec(ApiObject):
    """What passes before the measured window opens. Both must be reached."""

    requests: Annotated[int, Field(ge=0, le=100_000)]
    """Requests completed before the window opens."""
    seconds: Annotated[int, Field(ge=0, le=3600)]
    """Seconds passed before the window opens."""


class LoadSpec(ApiObject):
    """A closed loop: a fixed number of requests in flight, each ended one replaced at once."""

    api: PromptApi | None = None
    """`Completion`: prompts are sent as they are. `Chat`: as a user's message, in the server's own template.
    One for all models. Default Completion."""
    concurrency: Annotated[int | None, Field(ge=1, le=4096)] = None
    """Requests in flight. Every task needs at least four times as many items. Default 8."""
    warmup: WarmupSpec | None = None
    """Replaces the default warm-up, which is 2 x concurrency requests and 10 seconds after a start of the server,
    and 2 x concurrency requests before later stages."""
    repeats: Annotated[int | None, Field(ge=1, le=100)] = None
    """How often each task is measured within one round. Default 3, or 1 with three rounds or more."""
    max_seconds: Annotated[int | None, Field(ge=1, le=86_400)] = None
    """The longest one stage (one model, task and repeat) may take. One that reaches it keeps its figures
    and is not valid (`StageTimeLimit`). Default 1800."""
