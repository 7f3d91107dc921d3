"""A server of the user's own, in an image of the user's own: `runtime: Custom`.

What such an image must keep to:

- It listens at `$PORT`, which is 8080, on all addresses.
- `GET /health` answers 200 from when the model is ready, and not before. It may be asked while the load runs, so it
  asks nothing of the model.
- `POST /v1/completions` and `POST /v1/chat/completions` stream as OpenAI's do, with token counts (`usage`) at the end.
- It serves `$MODEL_ID`: an id at the Hugging Face hub (with `$REVISION`, where the benchmark gives one) or a path in
  the container. Requests name the model so.
- `$ACCELERATORS` says how many it has. `serving.args` are the words after its entry point, as they are.
- It runs as user 65532 without a name. It may write to /tmp, to /data (`HF_HOME`) and to what its podPatch mounts.
- After SIGTERM it ends within 30 seconds.
- `GET /metrics` is read if it answers in the words of a server that perbench knows.
- Whether it answers from a cache of prompts is its own affair. With `serving.prefixCache: On` requests ask it to, by
  `cache_prompt: true`; with Off by `cache_prompt: false`, unless it refuses that field.
"""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import JsonValue
from typing_extensions import override

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.runtimes.base import Duty, Runtime
from perbench.runtimes.images import IMAGES


class Custom(Runtime):
    """Any server that keeps to the above."""

    name: ClassVar = RuntimeName.CUSTOM
    images: ClassVar = IMAGES[RuntimeName.CUSTOM]
    port: ClassVar = 8080
    health_path: ClassVar = "/health"
    metrics_path: ClassVar = "/metrics"
    metrics: ClassVar = None
    protocols: ClassVar = {PromptApi.COMPLETION: Protocol.OPENAI, PromptApi.CHAT: Protocol.OPENAI_CHAT}
    stop_seconds: ClassVar = 30
    counts_end_token: ClassVar = None
    can_force_length: ClassVar = True  # preflight finds out whether it does
    shares_memory: ClassVar = False
    own_variables: ClassVar = frozenset({"PORT", "MODEL_ID", "REVISION", "ACCELERATORS"})

    @override
    def arguments(self, duty: Duty) -> tuple[str, ...]:
        return duty.args

    @override
    def environment(self, duty: Duty) -> Mapping[str, str]:
        return {
            "PORT": str(self.port),
            "MODEL_ID": duty.place.name,
            **({"REVISION": duty.place.revision} if duty.place.revision else {}),
            "ACCELERATORS": str(duty.accelerators),
        }

    @override
    def request_additions(self, *, prefix_cache: bool = False) -> Mapping[str, JsonValue]:
        return {"cache_prompt": True} if prefix_cache else {}

    @override
    def request_model(self, duty: Duty) -> str:
        return duty.place.name
