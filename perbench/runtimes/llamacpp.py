"""llama.cpp's `llama-server`: in a container as it is, in local mode out of the `xllamacpp` wheel.

Seen on xllamacpp 2026.10.11549 and llama-server b11669: an answer that ends at once counts one token, so the end token
is counted; `/health` answers 503 while the model loads; after SIGTERM an open stream ends within 30 s.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import ClassVar

from pydantic import JsonValue
from typing_extensions import override

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import Image, MemoryOrigin, Runtime
from perbench.runtimes.metrics import LLAMA_CPP


class LlamaCpp(Runtime):
    """`llama-server`, on the CPU."""

    name: ClassVar = RuntimeName.LLAMA_CPP
    image: ClassVar = Image("ghcr.io/ggml-org/llama.cpp:server", known=date(2026, 11, 23))
    port: ClassVar = 8080
    health_path: ClassVar = "/health"
    metrics_path: ClassVar = "/metrics"
    metrics: ClassVar = LLAMA_CPP
    memory_origin: ClassVar = MemoryOrigin.PROCESSES
    protocols: ClassVar = {PromptApi.COMPLETION: Protocol.OPENAI, PromptApi.CHAT: Protocol.OPENAI_CHAT}
    stop_seconds: ClassVar = 40
    counts_end_token: ClassVar = True
    can_force_length: ClassVar = True

    @override
    def arguments(self, model: str, args: Sequence[str]) -> tuple[str, ...]:
        return (
            *("--model", model, "--host", "0.0.0.0", "--port", str(self.port), "--metrics"),  # noqa: S104 - in a pod
            *("--no-cache-prompt", "--cache-ram", "0", *args),
        )

    @override
    def environment(self) -> Mapping[str, str]:
        return {}

    @override
    def request_additions(self) -> Mapping[str, JsonValue]:
        return {"cache_prompt": False}
